"""The mosaic study in words: what its tables show, and what a reader must know before quoting them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.cells import interval, number, percent
from lib.statistics.rho import DECIMALS
from lib.studies.mosaic.summaries import steepest_attack
from lib.studies.mosaic.words import (
    EXACT,
    NO_INJECTION,
    duplicate_of,
    label_of,
    ordered_settings,
    setting_name,
    symbol_of,
)

RISE = 0.01  # nats a token that a held-out loss may rise without a warning
SHOWN = 4  # cases that a warning names; the table has all


def in_words(auc: pd.DataFrame, rho: pd.DataFrame, variant: str, estimator: str = "isotonic") -> list[str]:
    """One paragraph for each model: its steepest attack with the AUC after few and many exact copies of the default
    setting, and rho by level for each kind and setting."""
    exact = auc[(auc["kind"] == EXACT) & (auc["variant"] == variant) & (auc["level"] > 0)]
    means = rho[rho["seed"].isna() & (rho["variant"] == variant)]
    texts = []
    for model, rows in exact.groupby("model"):
        rows = rows[rows["setting"] == ordered_settings(rows["setting"])[0]]
        attack = steepest_attack(rows)
        mine = means[(means["model"] == model) & (means["attack"] == attack)]
        clauses = [
            _equivalence(group[group["setting"] == setting], str(kind), setting, estimator)
            for kind, group in mine.groupby("kind")
            for setting in ordered_settings(group["setting"])
        ]
        texts.append(" ".join([_exposure(str(model), attack, rows), *_sentences(clauses)]))
    return texts


def warnings(auc: pd.DataFrame, rho: pd.DataFrame) -> list[str]:
    """What a reader must know before using a number: flags of rho, missing estimates, copies that were cut."""
    seeds = rho[rho["seed"].notna()]
    found = [
        _flagged(seeds, "clamped", "clamped to an end of the exact curve, because the fuzzy AUC lies beyond it"),
        _flagged(seeds, "extrapolated", "extrapolated beyond the exact curve, or along a first step of it that falls"),
        _flagged(seeds, "flat", "read off a flat part of the exact curve, where several numbers of copies fit"),
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


def _sentences(clauses: list[str]) -> list[str]:
    """The clauses that say something as sentences; the first one names the attack."""
    first, *others = [clause for clause in clauses if clause] or [""]
    return [f"By the same attack, {first}", *(text[0].upper() + text[1:] for text in others)] if first else []


def _exposure(model: str, attack: str, rows: pd.DataFrame) -> str:
    curve = rows[rows["attack"] == attack].groupby("level")["auc"].mean()
    few, many = curve.index[0], curve.index[-1]
    return (
        f"{model}: the AUC of the {label_of(attack)} attack rises most with exact copies. It is {number(curve[few])} "
        f"after ν = {few:g} and {number(curve[many])} after ν = {many:g} exact copies."
    )


def _equivalence(rows: pd.DataFrame, kind: str, setting: str, estimator: str) -> str:
    curve = rows[rows["estimator"] == estimator].set_index("level")["rho"].dropna().sort_index()
    if curve.empty:
        return ""
    symbol, low, high = symbol_of(kind), curve.index[0], curve.index[-1]
    name = f"{duplicate_of(kind)} ({setting_name(setting)})" if setting else duplicate_of(kind)
    text = f"{name} is worth ρ = {curve[low]:.2f} exact copies at {symbol} = {low:g}"
    if len(curve) > 1:
        text += f" and {curve[high]:.2f} at {symbol} = {high:g} ({estimator} estimator)"
    half, gap = _crossing(curve, 0.5), _disagreement(rows)
    if half is not None:
        text += f"; half of the effect is left near {symbol} = {half:.3g}"
    return f"{text}." if gap is None else f"{text}. The two estimators differ by {gap:.2f} at most."


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
        setting = f" ({setting_name(row.setting)})" if row.setting else ""
        yield (
            f"{row.model}, seed {row.seed}{setting}: without any injection, {label_of(row.attack)} has an AUC of "
            f"{number(row.auc)} {interval(row.auc_low, row.auc_high)}. Members and non-members differ in their texts."
        )
