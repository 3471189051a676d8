"""The table `auc`: one row for each measurement. Its columns and their order are fixed here."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import intervals, roc
from lib.studies.mosaic.measurements import KEY, Measurement

TPR_COLUMNS = tuple(f"tpr_at_fpr_{target:g}" for target in roc.FPR_TARGETS)
COLUMNS = (*KEY, "n_members", "nominal_copies", "effective_copies", "auc", "auc_low", "auc_high", *TPR_COLUMNS)


def make(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """The table, sorted by KEY. auc_low, auc_high: 95 % bootstrap interval over canaries."""
    return frame([row(measured) for measured in measurements], COLUMNS, KEY)


def row(measured: Measurement) -> dict[str, Any]:
    """A row of the table, and beside its columns the bootstrap `samples` (draws,) or None."""
    low, high = samples_interval(measured.samples)
    names = ("n_members", "nominal_copies", "effective_copies", "auc", "samples")
    return {
        **dict(zip(KEY, measured.key)),
        **dict(zip(TPR_COLUMNS, measured.tpr)),
        **{name: getattr(measured, name) for name in names},
        "auc_low": low,
        "auc_high": high,
    }


def samples_interval(samples: np.ndarray | None) -> tuple[float, float]:
    """The 95 % interval of bootstrap samples; NaN without samples."""
    return (np.nan, np.nan) if samples is None else intervals.interval(samples)
