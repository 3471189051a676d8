"""The tables `auc`, a row for each measurement, and `auc_means`, over seeds. Their columns and order are fixed here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import intervals, roc
from lib.studies.mosaic import paired
from lib.studies.mosaic.measurements import KEY, Measurement

TPR_COLUMNS = tuple(f"tpr_at_fpr_{target:g}" for target in roc.FPR_TARGETS)
MEASURED = (*KEY, "n_members", "nominal_copies", "effective_copies", "auc", "auc_low", "auc_high", *TPR_COLUMNS)
COLUMNS = (*MEASURED, "at_chance")
MEANS_KEY = tuple(name for name in KEY if name != "seed")
MEANS_COLUMNS = (
    *MEANS_KEY,
    "n_seeds",
    "auc",
    "auc_low",
    "auc_high",
    "auc_std",
    "auc_seeds_low",
    "auc_seeds_high",
    "at_chance",
)


def make(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """The table, sorted by KEY. auc_low, auc_high: 95 % bootstrap interval over canaries; at_chance: 0.5 lies in it."""
    return frame([row(measured) for measured in measurements], COLUMNS, KEY)


def means(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """Means over seeds in MEANS_COLUMNS, with the interval over canaries of the mean, and that over seeds.

    auc_std: ddof 0; auc_seeds_low, auc_seeds_high: t interval of the mean. One seed has none of these.
    """
    return frame(_means(map(row, measurements)), MEANS_COLUMNS, MEANS_KEY)


def _means(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for group in paired.grouped(list(rows), MEANS_KEY).values():
        values = [row["auc"] for row in group]
        low, high = samples_interval(mean_samples(group, "samples"))
        seeds_low, seeds_high = intervals.seeds_interval(values)
        yield {
            **group[0],
            "n_seeds": len(group),
            "auc": float(np.mean(values)),
            "auc_low": low,
            "auc_high": high,
            "auc_std": intervals.seeds_deviation(values),
            "auc_seeds_low": seeds_low,
            "auc_seeds_high": seeds_high,
            "at_chance": at_chance(low, high),
        }


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
        "at_chance": at_chance(low, high),
    }


def at_chance(low: float, high: float) -> bool | None:
    """Whether the interval of an AUC includes 0.5; None where it is not known."""
    return None if np.isnan(low) else low <= 0.5 <= high


def mean_samples(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray | None:
    """The mean over rows of their samples `name` (draws,); None if a row has none."""
    samples = [row[name] for row in rows]
    return None if any(sample is None for sample in samples) else np.mean(samples, axis=0)


def samples_interval(samples: np.ndarray | None) -> tuple[float, float]:
    """The 95 % interval of bootstrap samples; NaN without samples."""
    return (np.nan, np.nan) if samples is None else intervals.interval(samples)
