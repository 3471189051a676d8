"""The table `differences`: pairs of settings compared by the difference of their rho on the same canaries.

Settings over the same canaries share their bootstrap draws, including those of the exact curve, so that a difference
has the interval of paired samples. Compared are successive levels of a setting, and all settings of a kind at the same
level that are read off the same exact curve. Settings with a curve of their own may have other canaries and are left
out. Intervals and p-values are over canaries; with several seeds, the mean of their differences also has an interval
over seeds.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting import frames
from lib.statistics import intervals, significance
from lib.studies.mosaic.words import ordered_settings

SIDE = ("model", "seed", "attack", "variant", "kind", "level", "setting", "estimator")  # of the first of two settings
KEY = ("model", "seed", "attack", "variant", "kind", "level", "setting", "other_level", "other_setting", "estimator")
COLUMNS = (
    *KEY, "n_seeds", "rho", "other_rho", "difference", "low", "high", "p_value", "p_holm", "seeds_low", "seeds_high",
)  # fmt: skip
FAMILY = ("model", "seed", "attack", "variant", "estimator", "kind")  # p-values are corrected within it
Row = Mapping[str, Any]


def make(rho_rows: Iterable[Row]) -> pd.DataFrame:
    """Differences of rho (this minus the other) in COLUMNS, from `rho_table.rows`.

    `seed` is empty in means over the seeds that both settings have. Rows without bootstrap samples give no p-value and
    no interval over canaries.
    """
    known = [row for row in rho_rows if "rho" in row and row["seed"] is not None]
    pairs = [_seed_row(one, other) for one, other in _pairs(known)]
    found = [*pairs, *_means(pairs)]
    for family in _grouped(found, FAMILY).values():
        tested = [row for row in family if not np.isnan(row["p_value"])]
        for row, corrected in zip(tested, significance.holm([row["p_value"] for row in tested])):
            row["p_holm"] = float(corrected)
    return frames.frame(found, COLUMNS, KEY)


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    for group in _grouped(rows, ("model", "seed", "attack", "variant", "estimator", "kind", "curve")).values():
        for setting in _grouped(group, ("setting",)).values():
            yield from itertools.pairwise(sorted(setting, key=lambda row: row["level"]))
        order = ordered_settings(row["setting"] for row in group)
        for level in _grouped(group, ("level",)).values():
            yield from itertools.combinations(sorted(level, key=lambda row: order.index(row["setting"])), 2)


def _grouped(rows: Iterable[Row], names: Sequence[str]) -> dict[tuple[Any, ...], list[Any]]:
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def _seed_row(one: Row, other: Row) -> dict[str, Any]:
    sampled = one["rho_samples"] is not None and other["rho_samples"] is not None
    samples = one["rho_samples"] - other["rho_samples"] if sampled else None
    return {
        **{name: one[name] for name in SIDE},
        "other_level": other["level"], "other_setting": other["setting"], "n_seeds": 1,
        "rho": one["rho"], "other_rho": other["rho"], "difference": one["rho"] - other["rho"],
        "seeds_low": np.nan, "seeds_high": np.nan, **_over_canaries(samples),
    }  # fmt: skip


def _over_canaries(samples: np.ndarray | None) -> dict[str, Any]:
    if samples is None:
        return {"samples": None, "low": np.nan, "high": np.nan, "p_value": np.nan}
    low, high = intervals.interval(samples)
    return {"samples": samples, "low": low, "high": high, "p_value": significance.bootstrap_p_value(samples)}


def _means(pairs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    key = [name for name in KEY if name != "seed"]
    for group in _grouped(pairs, key).values():
        samples = [row["samples"] for row in group]
        mean = None if any(sample is None for sample in samples) else np.mean(samples, axis=0)
        low, high = intervals.seeds_interval([row["difference"] for row in group])
        values = {name: float(np.mean([row[name] for row in group])) for name in ("rho", "other_rho", "difference")}
        over_seeds = {"seed": None, "n_seeds": len(group), "seeds_low": low, "seeds_high": high}
        yield {**group[0], **values, **over_seeds, **_over_canaries(mean)}
