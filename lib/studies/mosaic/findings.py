"""The mosaic study in words: what its tables show, and what a reader must know before quoting them."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.cells import estimate, interval, number, percent
from lib.statistics.rho import DECIMALS
from lib.studies.mosaic.measurements import Record
from lib.studies.mosaic.rho_table import flagged
from lib.studies.mosaic.words import (
    EXACT,
    NO_INJECTION,
    duplicate_of,
    label_of,
    main_attack,
    ordered_settings,
    setting_name,
    symbol_of,
)

RISE = 0.01  # nats a token that a held-out loss may rise without a warning
NORMAL = 1.96  # of the 95 % interval of a normal distribution
SHOWN = 4  # cases that a warning names; the table has all


def in_words(means: pd.DataFrame, rho: pd.DataFrame, variant: str, estimator: str = "isotonic") -> list[str]:
    """One paragraph for each model, all of the main attack: the AUC after few and many exact copies of the default
    setting, rho by level for each kind and setting, and the AUC of a bag of words. means: the table `auc_means`."""
    mine = means[means["variant"] == variant]
    attack = main_attack(set(mine["attack"]))
    exact = mine[(mine["kind"] == EXACT) & (mine["level"] > 0) & (mine["attack"] == attack)]
    estimates = rho[rho["seed"].isna() & (rho["variant"] == variant) & (rho["attack"] == attack)]
    texts = []
    for model, rows in exact.groupby("model"):
        rows = rows[rows["setting"] == ordered_settings(rows["setting"])[0]]
        clauses = [
            _equivalence(group[group["setting"] == setting], str(kind), setting, estimator)
            for kind, group in estimates[estimates["model"] == model].groupby("kind")
            for setting in ordered_settings(group["setting"])
        ]
        baseline = _without_model(means[means["model"] == model])
        texts.append(" ".join([_exposure(str(model), attack, rows), *filter(None, clauses), *baseline]))
    return texts


def warnings(auc: pd.DataFrame, rho: pd.DataFrame) -> list[str]:
    """What a reader must know before using a number: flags of rho, missing estimates, copies that were cut."""
    seeds = rho[rho["seed"].notna()]
    found = [
        _flagged(
            seeds, "clamped", "clamped to an end of the exact curve, because the fuzzy AUC is that of the end or beyond"
        ),
        _flagged(seeds, "extrapolated", "extrapolated beyond the exact curve, or along a first step of it that falls"),
        _flagged(seeds, "flat", "read off a flat part of the exact curve, where several numbers of copies fit"),
        _flagged(seeds, "at_chance", "of an AUC whose interval includes 0.5, so that the attack may be guessing"),
        _non_monotone(auc),
        _empty(seeds),
        _cut_copies(auc),
        *_baselines(auc),
    ]
    return [text for text in found if text]


def forgetting(training: Mapping[tuple[str, int], Any]) -> list[str]:
    """The models whose held-out loss rises while they are fine-tuned, and what that means; training: a curve for each
    (model, number of exact copies)."""
    risen = [
        f"{model} from {curve.held_out_loss[0]:.2f} to {curve.held_out_loss[-1]:.2f} (ν = {copies:g})"
        for (model, copies), curve in sorted(training.items())
        if curve.held_out_loss[-1] > curve.held_out_loss[0] + RISE
    ]
    if not risen:
        return []
    return [
        f"The held-out loss rises while models are fine-tuned, in nats a token: {'; '.join(risen)}. They forget other "
        "text while they learn the canaries, as happens where canaries are a large part of a small training text. "
        "Settings of this run can be compared with one another; a model that does not forget may remember otherwise."
    ]


def before_training(training: Mapping[tuple[str, int], Any], records: Iterable[Record]) -> list[str]:
    """The AUC of each model before its fine-tuning, beside what guessing gives."""
    return [
        f"{model}: before fine-tuning the AUC of the loss attack is {number(auc)}; guessing gives "
        f"{number(low)} to {number(high)} with these canaries (95 %, first seed)."
        for model, auc, low, high in _untrained(training, records)
    ]


def apart_before_training(training: Mapping[tuple[str, int], Any], records: Iterable[Record]) -> list[str]:
    """The models that tell members from non-members before they saw any of them."""
    return [
        f"{model} tells members from non-members before it is fine-tuned: the AUC of the loss attack is {number(auc)}, "
        f"and guessing gives {number(low)} to {number(high)} (95 %, first seed). Later AUCs hold that difference too."
        for model, auc, low, high in _untrained(training, records)
        if not low <= auc <= high
    ]


def _untrained(
    training: Mapping[tuple[str, int], Any], records: Iterable[Record]
) -> Iterator[tuple[str, float, float, float]]:
    """(model, AUC before fine-tuning, the 95 % interval of guessing), for curves that begin before it.

    The AUC of n members and m non-members that do not differ has the variance (n + m + 1) / (12 n m): Mann-Whitney's.
    """
    sizes = {r.labels["model"]: (_size(r.members), _size(r.non_members)) for r in records}
    first = {model: curve for (model, _), curve in sorted(training.items(), reverse=True)}
    for model, curve in sorted(first.items()):
        if model in sizes and curve.steps[0] == 0:
            n, m = sizes[model]
            margin = NORMAL * math.sqrt((n + m + 1) / (12 * n * m))
            yield model, float(curve.auc[0]), 0.5 - margin, 0.5 + margin


def _size(side: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(side.values())))


def _exposure(model: str, attack: str, rows: pd.DataFrame) -> str:
    few, many = (rows.loc[find(rows["level"])] for find in (pd.Series.idxmin, pd.Series.idxmax))
    text = (
        f"{model}: the AUC of the {label_of(attack)} attack is {_auc(few)} after ν = {few['level']:g} and {_auc(many)} "
        f"after ν = {many['level']:g} exact copies."
    )
    guess = " The latter may be guessing (its interval includes 0.5), so that this attack has no result here."
    return text + guess if pd.notna(many["at_chance"]) and many["at_chance"] else text


def _without_model(means: pd.DataFrame) -> list[str]:
    rows = means[means["kind"] == NO_INJECTION]
    return [
        f"Without any model, {label_of(row.attack)}{_of(row.setting)} tells members from non-members with an AUC of "
        f"{estimate(row.auc, row.auc_low, row.auc_high)}."
        for row in rows.itertuples()
    ]


def _auc(row: pd.Series) -> str:
    return estimate(row["auc"], row["auc_low"], row["auc_high"])


def _of(setting: str) -> str:
    return f" ({setting_name(setting)})" if setting else ""


def _equivalence(rows: pd.DataFrame, kind: str, setting: str, estimator: str) -> str:
    """rho of one setting at its least and its largest level that have a result."""
    rows = rows[rows["rho"].notna()]
    curve = rows[(rows["estimator"] == estimator) & ~flagged(rows)].set_index("level").sort_index()
    name, symbol = duplicate_of(kind) + _of(setting), symbol_of(kind)
    if rows.empty:
        return ""
    if curve.empty:
        return f"For {name} no estimate of ρ is a result: each is flagged in the table."
    low, high = curve.index[0], curve.index[-1]
    text = f"{name} is worth ρ = {_rho(curve.loc[low])} exact copies at {symbol} = {low:g}"
    if len(curve) > 1:
        text += f" and {_rho(curve.loc[high])} at {symbol} = {high:g} ({estimator} estimator)"
    half, gap = _crossing(curve["rho"], 0.5), _disagreement(rows[~flagged(rows)])
    if half is not None:
        text += f"; half of the effect is left near {symbol} = {half:.3g}"
    more = "" if gap is None else f" By this attack the two estimators differ by {gap:.2f} at most."
    return f"{text[0].upper()}{text[1:]}.{more}"


def _rho(row: pd.Series) -> str:
    return f"{row['rho']:.2f} {interval(row['rho_low'], row['rho_high'], 2)}".strip()


def _crossing(curve: pd.Series, target: float) -> float | None:
    """The level at which a curve first passes `target`, by linear interpolation."""
    levels, values = curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float)
    passed = np.flatnonzero((values[:-1] >= target) != (values[1:] >= target))
    if len(passed) == 0:
        return None
    i = passed[0]
    return float(levels[i] + (values[i] - target) / (values[i] - values[i + 1]) * (levels[i + 1] - levels[i]))


def _disagreement(rows: pd.DataFrame) -> float | None:
    wide = rows.pivot_table(index="level", columns="estimator", values="rho")
    return float((wide["isotonic"] - wide["paper"]).abs().max()) if {"isotonic", "paper"} <= set(wide) else None


def _flagged(rows: pd.DataFrame, flag: str, meaning: str) -> str:
    cases = rows[rows[flag].fillna(False).astype(bool)]
    return f"{len(cases)} of {len(rows)} estimates of ρ are {meaning}: {_cases(cases)}." if len(cases) else ""


def _cases(rows: pd.DataFrame) -> str:
    """The settings concerned, most seeds first: `gemma2B ratio replace 1 (paper score, paper estimator, 2 seeds)`."""
    keys = ["model", "attack", "variant", "kind", "level", "setting", "estimator"]
    counts = rows.groupby(keys).size().reset_index(name="seeds").sort_values("seeds", ascending=False, kind="stable")
    names = [_case(row) for row in counts.head(SHOWN).itertuples()]
    more = [f"and {len(counts) - SHOWN} more settings in the table"] if len(counts) > SHOWN else []
    return "; ".join(names + more)


def _case(row: Any) -> str:
    setting = f" {row.setting}" if row.setting else ""
    return (
        f"{row.model} {label_of(row.attack)} {row.kind} {row.level:g}{setting} ({row.variant} score, {row.estimator} "
        f"estimator, {row.seeds} seed{'s' if row.seeds > 1 else ''})"
    )


def _non_monotone(auc: pd.DataFrame) -> str:
    exact = auc[(auc["kind"] == EXACT) & (auc["level"] >= 1)].sort_values("level")
    curves = exact.groupby(["model", "seed", "attack", "variant", "setting"])["auc"]
    bad = sum(bool((np.diff(curve.round(DECIMALS)) < 0).any()) for _, curve in curves)
    if not bad:
        return ""
    return (
        f"{bad} of {len(curves)} exact curves fall somewhere as copies are added, which few canaries make likely; ρ "
        "inverts the smoothed or isotonic curve."
    )


def _empty(rows: pd.DataFrame) -> str:
    cases = rows[rows["rho"].isna()]
    if cases.empty:
        return ""
    return f"{len(cases)} estimates of ρ are empty, because their exact curve is not complete: {_cases(cases)}."


def _cut_copies(auc: pd.DataFrame) -> str:
    rows = auc[auc["kind"] != NO_INJECTION].drop_duplicates(["model", "seed", "kind", "level", "setting"])
    cut = rows[rows["effective_copies"] < rows["nominal_copies"]]
    if cut.empty:
        return ""
    share = (cut["effective_copies"] / cut["nominal_copies"]).min()
    return (
        f"In {len(cut)} of {len(rows)} settings, training sequences cut some of the injected copies (smallest share of "
        f"whole copies: {percent(share)}). The tables have the effective number beside the nominal one."
    )


def _baselines(auc: pd.DataFrame) -> Iterable[str]:
    rows = auc[(auc["kind"] == NO_INJECTION) & ((auc["auc_low"] > 0.5) | (auc["auc_high"] < 0.5))]
    for row in rows.itertuples():
        yield (
            f"{row.model}, seed {row.seed}{_of(row.setting)}: without any injection, {label_of(row.attack)} has an AUC "
            f"of {estimate(row.auc, row.auc_low, row.auc_high)}. Members and non-members differ in their texts."
        )
