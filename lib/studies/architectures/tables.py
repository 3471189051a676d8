"""The tables of the architectures study: rates, exposure, and differences of rho between models on the same canaries.

Models with the same tokenizer have the same canaries, and records of one seed share their bootstrap draws (see
`lib.studies.mosaic.measurements`), so that a difference between two models has the interval of paired samples.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.frames import frame
from lib.studies.mosaic import paired
from lib.studies.mosaic.auc_table import samples_interval
from lib.studies.mosaic.measurements import Measurement
from lib.studies.mosaic.paired import Row
from lib.studies.mosaic.rho_table import is_flagged
from lib.studies.mosaic.words import EXACT

RATE = "learning_rate="  # how the setting of a tried rate begins
EVERY = "all"  # the kind of rows that are means over all perturbations
SCORE = ("seed", "attack", "variant")
ONE_PERTURBATION = ("kind", "level", "setting")
PLACE = (*ONE_PERTURBATION, "estimator")
DIFFERENCE = ("difference", "low", "high", "p_value", "p_holm", "seeds_low", "seeds_high")
RATES_COLUMNS = (
    "model", *SCORE, "nu_max", "learning_rate", "auc", "auc_low", "auc_high", "target_auc", "matched_rate",
)  # fmt: skip
EXPOSURE_COLUMNS = (
    "model", "other_model", *SCORE, "n_seeds", "nu_max", "learning_rate", "auc", "other_auc", *DIFFERENCE,
)  # fmt: skip
FAMILIES_COLUMNS = ("model", "other_model", *SCORE, *PLACE, "n_seeds", "rho", "other_rho", *DIFFERENCE, "flagged")

Rates = Mapping[str, float]  # model -> the rate it was trained with; the others are compared with the first


def rates_table(measured: Iterable[Measurement], trained: Rates) -> pd.DataFrame:
    """The AUC after the most exact copies at every tried rate, in RATES_COLUMNS.

    target_auc: that of the first model at its own rate, same seed and score; matched_rate: where the model would have
    it (see `matched_rate`), empty if at none of the tried rates.
    """
    exact = _after_most_copies(measured)
    first = next(iter(trained))
    target = {_score(one): one.auc for one in exact if one.model == first and not one.setting}
    tried = [one for one in exact if one.setting.startswith(RATE) and _score(one) in target]
    rows = []
    for (_, score), group in paired.grouped_by(tried, lambda one: (one.model, _score(one))).items():
        group.sort(key=_rate)
        found = matched_rate([_rate(one) for one in group], [one.auc for one in group], target[score])
        rows += [_rates_row(one, target[score], found) for one in group]
    return frame(rows, RATES_COLUMNS, ("model", *SCORE, "learning_rate"))


def matched_rate(rates: Sequence[float], aucs: Sequence[float], target: float) -> float:
    """The lowest rate at which the AUC is `target`, linear in the log of the rate between tried ones; NaN for none.

    rates: rising, positive.
    """
    x, gap = np.log(np.asarray(rates, float)), np.asarray(aucs, float) - target
    for i in range(len(x)):
        if gap[i] == 0:
            return float(rates[i])
        if i + 1 < len(x) and gap[i] * gap[i + 1] < 0:
            return float(np.exp(x[i] - gap[i] * (x[i + 1] - x[i]) / (gap[i + 1] - gap[i])))
    return float("nan")


def exposure_table(measured: Iterable[Measurement], trained: Rates) -> pd.DataFrame:
    """The AUC of each model after the most exact copies beside that of the first one, in EXPOSURE_COLUMNS.

    `seed` is empty in means over the seeds that both have.
    """
    rows = [_auc_row(one) for one in _after_most_copies(measured) if one.model in trained and not one.setting]
    pairs = [
        (one, other) for one, other in _pairs(rows, trained, (*SCORE, "level")) if other["model"] == next(iter(trained))
    ]
    found = _compared(pairs, "auc", SCORE)
    named = [{**row, "learning_rate": trained[row["model"]], "nu_max": row["level"]} for row in found]
    return frame(named, EXPOSURE_COLUMNS, ("model", *SCORE))


def families_table(rho_rows: Iterable[Row], trained: Rates) -> pd.DataFrame:
    """Differences of rho between models for every perturbation, and of its mean over all (kind `all`).

    rho_rows: of `rho_table.rows`. `seed` is empty in means over the seeds that both models have. p_holm: corrected for
    the perturbations of one pair of models; the mean over all stands alone. flagged: one of the two is no result (see
    `rho_table.is_flagged`); the mean over all is never flagged, because its members stand beside it.
    """
    known = [
        {**row, "flagged": is_flagged(row)}
        for row in rho_rows
        if row["seed"] is not None and row.get("rho_samples") is not None
    ]
    pairs = list(_pairs(known, trained, (*SCORE, *PLACE)))
    found = _compared([*pairs, *_over_perturbations(pairs)], "rho", (*SCORE, *PLACE))
    return frame(found, FAMILIES_COLUMNS, ("model", "other_model", *SCORE, *PLACE))


def _after_most_copies(measured: Iterable[Measurement]) -> list[Measurement]:
    exact = [one for one in measured if one.kind == EXACT]
    most = max(one.level for one in exact)
    return [one for one in exact if one.level == most]


def _score(one: Measurement) -> tuple[int, str, str]:
    return one.seed, one.attack, one.variant


def _rate(one: Measurement) -> float:
    return float(one.setting.removeprefix(RATE))


def _rates_row(one: Measurement, target: float, matched: float) -> Row:
    low, high = samples_interval(one.samples)
    return {
        "model": one.model, **dict(zip(SCORE, _score(one))), "nu_max": int(one.level), "learning_rate": _rate(one),
        "auc": one.auc, "auc_low": low, "auc_high": high, "target_auc": target, "matched_rate": matched,
    }  # fmt: skip


def _auc_row(one: Measurement) -> Row:
    return {
        "model": one.model, **dict(zip(SCORE, _score(one))), "level": int(one.level),
        "auc": one.auc, "auc_samples": one.samples,
    }  # fmt: skip


def _over_perturbations(pairs: Sequence[tuple[Row, Row]]) -> Iterator[tuple[Row, Row]]:
    """For every two models, seed, score and estimator the means of rho over all perturbations that both have."""
    same = (*SCORE, "estimator")
    groups = paired.grouped_by(pairs, lambda pair: (*(row["model"] for row in pair), *(pair[0][name] for name in same)))
    for group in groups.values():
        one, other = zip(*group)
        yield _mean_rho(one), _mean_rho(other)


def _mean_rho(rows: Sequence[Row]) -> Row:
    return {
        **rows[0], "kind": EVERY, "level": None, "setting": "", "flagged": False,
        "rho": float(np.mean([row["rho"] for row in rows])),
        "rho_samples": np.mean([row["rho_samples"] for row in rows], axis=0),
    }  # fmt: skip


def _pairs(rows: Iterable[Row], trained: Rates, same: Sequence[str]) -> Iterator[tuple[Row, Row]]:
    """Two models at the same place, the later one of `trained` first."""
    order = list(trained)
    for group in paired.grouped(rows, same).values():
        group.sort(key=lambda row: order.index(row["model"]))
        yield from ((other, one) for one, other in itertools.combinations(group, 2))


def _compared(pairs: Iterable[tuple[Row, Row]], value: str, place: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each pair, and for its mean over seeds; p-values are corrected within a pair of models and a score."""
    rows = [_pair_row(one, other, value) for one, other in pairs]
    key = ("model", "other_model", *place)
    found = [*rows, *paired.means(rows, key, (value, f"other_{value}", "difference"))]
    paired.correct(
        [row for row in found if row.get("kind") != EVERY], [name for name in key if name not in ONE_PERTURBATION]
    )
    return found


def _pair_row(one: Row, other: Row, value: str) -> dict[str, Any]:
    samples = paired.difference(one[f"{value}_samples"], other[f"{value}_samples"])
    return {
        **one, "other_model": other["model"], f"other_{value}": other[value], "n_seeds": 1,
        "difference": one[value] - other[value], "flagged": one.get("flagged") or other.get("flagged"), **samples,
    }  # fmt: skip
