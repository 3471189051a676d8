"""The table `changes`: settings with exact copies of their own, beside the default setting.

What changes the exact copies too (another learning rate, other canaries, another way to inject) has an exact curve of
its own. This table has what such a setting does: the difference of the AUC after each number of exact copies, and of
rho at each level, each read off its own curve. Intervals and p-values are over canaries, which the two settings share;
if the setting has other canaries, the draws have nothing in common and the interval is that of two independent samples.
With several seeds, the mean of their differences also has an interval over seeds.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting import frames
from lib.studies.mosaic import paired
from lib.studies.mosaic.measurements import Measurement
from lib.studies.mosaic.paired import Row
from lib.studies.mosaic.rho_table import is_flagged
from lib.studies.mosaic.words import EXACT

KEY = ("model", "seed", "attack", "variant", "kind", "level", "setting", "quantity", "estimator")
VALUES = ("value", "default", "difference")
COLUMNS = (*KEY, "n_seeds", *VALUES, "low", "high", "p_value", "seeds_low", "seeds_high", "flagged")
POINT = ("model", "seed", "attack", "variant", "kind", "level", "quantity", "estimator")


def make(measurements: Iterable[Measurement], rho_rows: Iterable[Row]) -> pd.DataFrame:
    """Differences (the setting minus the default) in COLUMNS; rho_rows: of `rho_table.rows`.

    quantity: `auc` or `rho`; estimator is empty for `auc`. `seed` is empty in means over the seeds that both have.
    flagged: one of the two is no result (see `rho_table.is_flagged`).
    """
    points = [*_aucs(measurements), *_rhos(rho_rows)]
    pairs = [pair for group in paired.grouped(points, POINT).values() for pair in _pairs(group)]
    return frames.frame([*pairs, *paired.means(pairs, KEY, VALUES)], COLUMNS, KEY)


def _aucs(measurements: Iterable[Measurement]) -> Iterator[dict[str, Any]]:
    for measured in measurements:
        if measured.kind == EXACT:
            labels = {name: getattr(measured, name) for name in KEY if hasattr(measured, name)}
            drawn = {"drawn": measured.samples, "flagged": False}
            yield {**labels, "quantity": "auc", "estimator": "", "value": measured.auc, **drawn}


def _rhos(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Those that are read off the curve of their own setting."""
    for row in rows:
        if "rho" in row and row["seed"] is not None and row["curve"] == row["setting"]:
            labels = {name: row[name] for name in KEY if name in row}
            drawn = {"drawn": row["rho_samples"], "flagged": is_flagged(row)}
            yield {**labels, "quantity": "rho", "value": row["rho"], **drawn}


def _pairs(group: list[Row]) -> Iterator[dict[str, Any]]:
    default = next((row for row in group if row["setting"] == ""), None)
    for row in group:
        if default and row is not default:
            yield {
                **{name: row[name] for name in (*KEY, "value")},
                "n_seeds": 1, "flagged": row["flagged"] or default["flagged"], "default": default["value"],
                "difference": row["value"] - default["value"],
                "seeds_low": np.nan, "seeds_high": np.nan, **paired.difference(row["drawn"], default["drawn"]),
            }  # fmt: skip
