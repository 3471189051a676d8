"""The table `differences`: pairs of settings compared by the difference of their rho on the same canaries.

Settings over the same canaries share their bootstrap draws, including those of the exact curve, so that a difference
has the interval of paired samples. Compared are successive levels of a setting, and all settings of a kind at the same
level that are read off the same exact curve. Settings with a curve of their own may have other canaries and are left
out. Intervals and p-values are over canaries; with several seeds, the mean of their differences also has an interval
over seeds.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting import frames
from lib.studies.mosaic import paired
from lib.studies.mosaic.paired import Row
from lib.studies.mosaic.rho_table import is_flagged
from lib.studies.mosaic.words import ordered_settings

SIDE = ("model", "seed", "attack", "variant", "kind", "level", "setting", "estimator")  # of the first of two settings
KEY = ("model", "seed", "attack", "variant", "kind", "level", "setting", "other_level", "other_setting", "estimator")
COLUMNS = (
    *KEY, "n_seeds", "rho", "other_rho", "difference", "low", "high", "p_value", "p_holm", "seeds_low", "seeds_high",
    "flagged",
)  # fmt: skip
VALUES = ("rho", "other_rho", "difference")
FAMILY = ("model", "seed", "attack", "variant", "estimator", "kind")  # p-values are corrected within it


def make(rho_rows: Iterable[Row]) -> pd.DataFrame:
    """Differences of rho (this minus the other) in COLUMNS, from `rho_table.rows`.

    `seed` is empty in means over the seeds that both settings have. Rows without bootstrap samples give no p-value and
    no interval over canaries. flagged: one of the two is no result (see `rho_table.is_flagged`).
    """
    known = [row for row in rho_rows if "rho" in row and row["seed"] is not None]
    pairs = [_seed_row(one, other) for one, other in _pairs(known)]
    found = [*pairs, *paired.means(pairs, KEY, VALUES)]
    paired.correct(found, FAMILY)
    return frames.frame(found, COLUMNS, KEY)


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    for group in paired.grouped(rows, ("model", "seed", "attack", "variant", "estimator", "kind", "curve")).values():
        for setting in paired.grouped(group, ("setting",)).values():
            yield from itertools.pairwise(sorted(setting, key=lambda row: row["level"]))
        order = ordered_settings(row["setting"] for row in group)
        for level in paired.grouped(group, ("level",)).values():
            yield from itertools.combinations(sorted(level, key=lambda row: order.index(row["setting"])), 2)


def _seed_row(one: Row, other: Row) -> dict[str, Any]:
    return {
        **{name: one[name] for name in SIDE},
        "other_level": other["level"], "other_setting": other["setting"], "n_seeds": 1,
        "rho": one["rho"], "other_rho": other["rho"], "difference": one["rho"] - other["rho"],
        "flagged": is_flagged(one) or is_flagged(other),
        "seeds_low": np.nan, "seeds_high": np.nan, **paired.difference(one["rho_samples"], other["rho_samples"]),
    }  # fmt: skip
