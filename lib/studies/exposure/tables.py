"""The tables of the exposure study: what passages gain by their copies, what a near-duplicate counted as, and which
number, exact copies or exposure, says it better.

A passage's gain is its log-probability of a suffix token (nats) under the model that was trained on its copies, less
that under the model of the same text without any passage. Every interval is a 95 % bootstrap over passages: one is
drawn with what it gained in all seeds, where it got other copies. The interval over seeds has columns of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.reporting.frames import frame
from lib.statistics import intervals, rho
from lib.studies.distances.tables import spearman

EXACT = "exact"  # the kind of passages without near-duplicates
CONDITION = ("kind", "setting", "level", "exact", "near")
VALUES = ("share", "n_passages", "gain", "low", "high", "matched", "log10_p", "whole")
WORTH = ("equivalent", "worth", "worth_low", "worth_high", "clamped")
PREDICTOR = ("subset", "measure", "predictor", "n_passages")
CORRELATION = ("spearman", "low", "high", "difference", "difference_low", "difference_high")
SEEDS = ("difference_seeds_low", "difference_seeds_high")
VARIANCE = ("r2", "r2_low", "r2_high", "r2_difference", "r2_difference_low", "r2_difference_high")
PREDICTIONS_COLUMNS = (*PREDICTOR, *CORRELATION, *SEEDS, *VARIANCE)
COUNT, ALL_COPIES = "exact copies", "all copies as exact"
MEASURES = ("gain", "matched")
DRAWS = 1000


@dataclass(frozen=True)
class Passages:
    """What the passages of one seed got, and what their model makes of them; arrays are (passages,).

    kind, setting: texts; level, exact, near: numbers, see jobs/texts/planted_text.py. count: copies that are exact in
    the text, near-duplicates without a difference among them. share: mean share of tokens in which the near-duplicates
    differ, NaN without any. exposure: name of a rho -> copies' worth. gain: nats a token.
    matched: share of the suffix that greedy decoding repeats. log10_p: of the suffix, in the model's own distribution.
    """

    seed: int
    kind: Sequence[str]
    setting: Sequence[str]
    level: NDArray
    exact: NDArray
    near: NDArray
    count: NDArray
    share: NDArray
    exposure: Mapping[str, NDArray]
    gain: NDArray
    matched: NDArray
    log10_p: NDArray

    def conditions(self) -> list[tuple]:
        """The condition of each passage, by CONDITION."""
        columns = (self.kind, self.setting, self.level.tolist(), self.exact.tolist(), self.near.tolist())
        return list(zip(*columns))


def make(seeds: Sequence[Passages]) -> dict[str, pd.DataFrame]:
    """Both tables by name. Raises TesseraError where seeds have other numbers of passages."""
    n = {len(one.gain) for one in seeds}
    if len(n) != 1:
        raise TesseraError(f"seeds have {sorted(n)} passages; all must have the same ones")
    draws = generator(0, "bootstrap of passages").integers(0, max(n), (DRAWS, max(n)))
    return {"conditions": conditions_table(seeds, draws), "predictions": predictions_table(seeds, draws)}


def rho_column(name: str) -> str:
    """The column of `conditions` with what near-duplicates should count as by the rho of that name."""
    return f"rho_{name}"


def conditions_table(seeds: Sequence[Passages], draws: NDArray) -> pd.DataFrame:
    """A row for each condition: means over its passages of all seeds; exact copies first.

    low, high: of the gain. equivalent: the number of exact copies alone with the same mean gain, by isotonic regression
    and straight lines; worth: (equivalent - exact) / near, what a near-duplicate counted as; clamped: the gain is that
    of an end of the curve, or beyond it. rho_<name>: what it should count as by the distances of the near-duplicates.
    """
    names = list(seeds[0].exposure)
    columns = (*CONDITION, *VALUES, *WORTH, *map(rho_column, names))
    return frame(_condition_rows(seeds, draws, names), columns, text=("setting",))


def predictions_table(seeds: Sequence[Passages], draws: NDArray) -> pd.DataFrame:
    """How well numbers of copies order, and explain, what passages gained, in PREDICTIONS_COLUMNS.

    predictor: exact copies, all copies as exact, or the exposure by a rho. subset: all passages, or those with
    near-duplicates. spearman: rank correlation; r2: share of the variance that a straight line on ln(1 + predictor)
    explains; difference: to that of exact copies. low, high: over passages; seeds: t interval over seeds.
    """
    rows = [
        {"subset": subset, "measure": measure, **row}
        for subset in ("all", "with near-duplicates")
        for measure in MEASURES
        for row in _predictor_rows(seeds, draws, subset == "all", measure)
    ]
    return frame(rows, PREDICTIONS_COLUMNS, text=("predictor",))


def _condition_rows(seeds: Sequence[Passages], draws: NDArray, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    keys = sorted(
        {key for one in seeds for key in one.conditions()}, key=lambda key: (key[0] != EXACT, key[:3], key[3])
    )
    inside = {key: np.array([[found == key for found in one.conditions()] for one in seeds]) for key in keys}
    gain = np.stack([one.gain for one in seeds])
    samples = {key: _sampled_mean(gain, chosen, draws) for key, chosen in inside.items()}
    curve = _Curve({int(key[3]): (gain[inside[key]].mean(), samples[key]) for key in keys if key[0] == EXACT})
    for key, chosen in inside.items():
        row = {**dict(zip(CONDITION, key)), **_means(seeds, chosen, names)}
        low, high = intervals.interval(samples[key])
        row |= {"low": low, "high": high}
        yield row | (curve.worth(row["gain"], samples[key], row["exact"], row["near"]) if row["near"] else {})


def _means(seeds: Sequence[Passages], chosen: NDArray, names: Sequence[str]) -> dict[str, float]:
    def mean(values: list[NDArray]) -> float:
        return float(np.stack(values)[chosen].mean())

    found = {name: mean([getattr(one, name) for one in seeds]) for name in ("share", "gain", "matched", "log10_p")}
    near = float(np.stack([one.near for one in seeds])[chosen].max())
    worth = {rho_column(name): mean([one.exposure[name] - one.exact for one in seeds]) for name in names}
    whole = mean([one.matched == 1 for one in seeds])
    expected = {name: value / near for name, value in worth.items()} if near else {}
    return {**found, "n_passages": int(chosen.sum()), "whole": whole, **expected}


def _sampled_mean(values: NDArray, chosen: NDArray, draws: NDArray) -> NDArray[np.float64]:
    """The mean of the chosen (seeds, passages) values in each draw of passages, (draws,); of all of them where a draw
    has none."""
    sums, counts = (values * chosen).sum(0)[draws].sum(1), chosen.sum(0)[draws].sum(1)
    return np.divide(sums, counts, out=np.full(len(draws), values[chosen].mean()), where=counts > 0)


class _Curve:
    """The gain after exact copies alone. points: copies -> (mean gain, its samples (draws,)).

    The inversion is that of rho, whose curve begins at one copy: copies and one more stand for copies here.
    """

    def __init__(self, points: Mapping[int, tuple[float, NDArray]]):
        self.copies = np.array(sorted(points)) + 1
        self.gain = np.array([points[copies][0] for copies in sorted(points)])
        self.samples = np.stack([points[copies][1] for copies in sorted(points)], axis=-1)

    def worth(self, gain: float, samples: NDArray, exact: int, near: int) -> dict[str, Any]:
        """Columns WORTH of a condition; nothing where the curve has no point without copies, or no second one."""
        if len(self.copies) < 2 or self.copies[0] != 1:
            return {}
        one = rho.isotonic(self.copies, self.gain, gain)
        low, high = intervals.interval((rho.isotonic(self.copies, self.samples, samples).nu_eq - 1 - exact) / near)
        equivalent = float(one.nu_eq) - 1
        worth = {"worth": (equivalent - exact) / near, "worth_low": low, "worth_high": high}
        return {"equivalent": equivalent, **worth, "clamped": bool(one.clamped)}


def _predictor_rows(seeds: Sequence[Passages], draws: NDArray, whole: bool, measure: str) -> Iterator[dict[str, Any]]:
    chosen = np.stack([one.near > 0 if not whole else np.ones(len(one.near), bool) for one in seeds])
    values = np.stack([getattr(one, measure) for one in seeds])
    found = {name: _fit(x, values, chosen, draws) for name, x in _predictors(seeds).items()}
    for name, fits in found.items():
        row: dict[str, Any] = {"predictor": name, "n_passages": int(chosen.sum())}
        for statistic, prefix in (("spearman", ""), ("r2", "r2_")):
            row |= _compared(fits[statistic], found[COUNT][statistic], statistic, prefix, name == COUNT)
        yield row


def _predictors(seeds: Sequence[Passages]) -> dict[str, NDArray]:
    exposures = {f"exposure, ρ {name}": np.stack([one.exposure[name] for one in seeds]) for name in seeds[0].exposure}
    count, every = (
        np.stack(found).astype(float) for found in zip(*((one.count, one.exact + one.near) for one in seeds))
    )
    return {COUNT: count, ALL_COPIES: every, **exposures}


@dataclass(frozen=True)
class _Statistic:
    """Of all passages, of each draw of passages, and of each seed alone."""

    value: float
    draws: NDArray
    seeds: NDArray


def _fit(x: NDArray, y: NDArray, chosen: NDArray, draws: NDArray) -> dict[str, _Statistic]:
    """x, y, chosen: (seeds, passages)."""
    found = {}
    for name, statistic in (("spearman", spearman), ("r2", explained)):
        seeds = np.array([statistic(a[kept], b[kept]) for a, b, kept in zip(x, y, chosen)])
        sampled = np.array([statistic(*_drawn(x, y, chosen, draw)) for draw in draws])
        found[name] = _Statistic(float(statistic(x[chosen], y[chosen])), sampled, seeds)
    return found


def _drawn(x: NDArray, y: NDArray, chosen: NDArray, draw: NDArray) -> tuple[NDArray, NDArray]:
    kept = chosen[:, draw]
    return x[:, draw][kept], y[:, draw][kept]


def explained(x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """The share of the variance of y (n,) that a straight line on ln(1 + x) explains; NaN where one does not vary."""
    a, b = np.log1p(x) - np.log1p(x).mean(), y - y.mean()
    norm = (a**2).sum() * (b**2).sum()
    return np.asarray((a * b).sum() ** 2 / norm if norm > 1e-20 else np.nan)


def _compared(mine: _Statistic, other: _Statistic, name: str, prefix: str, same: bool) -> dict[str, float]:
    """A statistic with its interval, and its difference to that of exact copies (none for these)."""
    (low, high), difference = _interval(mine.draws), mine.draws - other.draws
    row = {name: mine.value, f"{prefix}low": low, f"{prefix}high": high}
    if same:
        return row
    below, above = _interval(difference)
    row |= {f"{prefix}difference": mine.value - other.value}
    row |= {f"{prefix}difference_low": below, f"{prefix}difference_high": above}
    seeds = intervals.seeds_interval(mine.seeds - other.seeds)
    return row if prefix else row | dict(zip(SEEDS, seeds))


def _interval(samples: NDArray) -> tuple[float, float]:
    """The 95 % interval of the draws that have a value; NaN where one in ten or more has none."""
    known = samples[np.isfinite(samples)]
    return intervals.interval(known) if len(known) > 0.9 * len(samples) else (np.nan, np.nan)
