"""Paired comparison of settings: the difference of their rho on the same canaries, with interval and p-value.

Settings over the same canaries share their bootstrap draws, through the exact curve as well, so that a difference has
the interval of paired samples. Compared are successive levels of a setting, and all settings of a kind at equal levels
that are read off the same exact curve; settings with a curve of their own may have other canaries and are left out.
Intervals and p-values are over canaries; over seeds there is an interval beside it, of the mean of the seeds'
differences, where there are several.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting import cells, frames
from lib.statistics import intervals, significance
from lib.studies.mosaic import words
from lib.studies.mosaic.words import CORRECTED

COLUMNS = (
    "model", "seed", "attack", "variant", "kind", "level", "setting", "other_level", "other_setting", "estimator",
    "n_seeds", "rho", "other_rho", "difference", "low", "high", "p_value", "p_holm", "seeds_low", "seeds_high",
)  # fmt: skip
FAMILY = ("model", "seed", "attack", "variant", "estimator", "kind")  # within which p-values are corrected
Row = Mapping[str, Any]


def table(rows: Iterable[Row]) -> pd.DataFrame:
    """Differences of rho (this minus the other) in COLUMNS, from the rows of `tables.rho_rows`.

    `seed` is empty in means over the seeds that both have. Rows without bootstrap samples give no p-value and no
    interval over canaries.
    """
    known = [row for row in rows if "rho" in row and row["seed"] is not None]
    pairs = [_seed_row(one, other) for one, other in _pairs(known)]
    found = [*pairs, *_means(pairs)]
    for family in _grouped(found, FAMILY).values():
        tested = [row for row in family if not np.isnan(row["p_value"])]
        for row, corrected in zip(tested, significance.holm([row["p_value"] for row in tested])):
            row["p_holm"] = float(corrected)
    return frames.frame(found, COLUMNS, (*COLUMNS[:10],))


def summary(found: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> cells.TextTable:
    """Means over seeds of one attack by one estimator. Returns (header, rows)."""
    rows = found[found["seed"].isna() & (found["attack"] == attack) & (found["variant"] == variant)]
    header = ["model", "this", "other", "ρ", "ρ of the other", "difference", "interval", "p", "p by Holm", "over seeds"]
    return header, [_cells(row) for row in rows[rows["estimator"] == estimator].itertuples()]


def _pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    for group in _grouped(rows, ("model", "seed", "attack", "variant", "estimator", "kind", "curve")).values():
        for setting in _grouped(group, ("setting",)).values():
            yield from itertools.pairwise(sorted(setting, key=lambda row: row["level"]))
        order = words.ordered_settings(row["setting"] for row in group)
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
        **{name: one[name] for name in ("model", "seed", "attack", "variant", "kind", "level", "setting", "estimator")},
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
    key = [name for name in COLUMNS[:10] if name != "seed"]
    for group in _grouped(pairs, key).values():
        samples = [row["samples"] for row in group]
        mean = None if any(sample is None for sample in samples) else np.mean(samples, axis=0)
        low, high = intervals.seeds_interval([row["difference"] for row in group])
        values = {name: float(np.mean([row[name] for row in group])) for name in ("rho", "other_rho", "difference")}
        over_seeds = {"seed": None, "n_seeds": len(group), "seeds_low": low, "seeds_high": high}
        yield {**group[0], **values, **over_seeds, **_over_canaries(mean)}


def _cells(row: Any) -> list[str]:
    names = [
        ", ".join(filter(None, [f"{words.symbol_of(row.kind)}={level:g}", setting]))
        for level, setting in ((row.level, row.setting), (row.other_level, row.other_setting))
    ]
    return [
        row.model,
        *names,
        *map(cells.number, (row.rho, row.other_rho, row.difference)),
        cells.interval(row.low, row.high),
        *map(cells.p_value, (row.p_value, row.p_holm)),
        cells.interval(row.seeds_low, row.seeds_high),
    ]
