"""What the tables say, in words: the findings, and the warnings that belong beside them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib.reporting.cells import interval, number, percent
from lib.statistics.rho import DECIMALS
from lib.studies.mosaic.summaries import telling_attack
from lib.studies.mosaic.words import (
    EXACT,
    NO_INJECTION,
    duplicate_of,
    label_of,
    ordered_settings,
    setting_name,
    symbol_of,
)

SHOWN = 4  # cases that a warning names; the table has the others


def in_words(auc: pd.DataFrame, rho: pd.DataFrame, variant: str, estimator: str = "isotonic") -> list[str]:
    """One paragraph a model: the attack that tells copies apart best, its AUC with few and many exact copies (of the
    default setting), and its rho by level for each kind and setting."""
    exact = auc[(auc["kind"] == EXACT) & (auc["variant"] == variant) & (auc["level"] > 0)]
    means = rho[rho["seed"].isna() & (rho["variant"] == variant)]
    texts = []
    for model, rows in exact.groupby("model"):
        rows = rows[rows["setting"] == ordered_settings(rows["setting"])[0]]
        attack = telling_attack(rows)
        mine = means[(means["model"] == model) & (means["attack"] == attack)]
        fuzzy = [
            _equivalence(group[group["setting"] == setting], str(kind), setting, estimator)
            for kind, group in mine.groupby("kind")
            for setting in ordered_settings(group["setting"])
        ]
        texts.append(" ".join([_exposure(str(model), attack, rows), *_sentences(list(filter(None, fuzzy)))]))
    return texts


def warnings(auc: pd.DataFrame, rho: pd.DataFrame) -> list[str]:
    """What a reader must know before using a number: flags of rho, missing estimates, copies that were cut."""
    seeds = rho[rho["seed"].notna()]
    found = [
        _flagged(seeds, "clamped", "held at an end of the exact curve (clamped): the fuzzy AUC lies beyond it"),
        _flagged(seeds, "extrapolated", "extrapolated beyond the largest number of exact copies"),
        _flagged(seeds, "flat", "read off a flat stretch of the exact curve: more than one number of copies fits"),
        _non_monotone(auc),
        _empty(seeds),
        _cut_copies(auc),
        *_baselines(auc),
    ]
    return [text for text in found if text]


def _sentences(clauses: list[str]) -> list[str]:
    return [
        f"By the same attack, {clause}" if i == 0 else clause[0].upper() + clause[1:]
        for i, clause in enumerate(clauses)
    ]


def _exposure(model: str, attack: str, rows: pd.DataFrame) -> str:
    curve = rows[rows["attack"] == attack].groupby("level")["auc"].mean()
    few, many = curve.index[0], curve.index[-1]
    return (
        f"{model}: the attack whose AUC rises most with copies ({label_of(attack)}) tells members from non-members "
        f"with {number(curve[few])} after ν = {few:g} and {number(curve[many])} after ν = {many:g} exact copies."
    )


def _equivalence(rows: pd.DataFrame, kind: str, setting: str, estimator: str) -> str:
    curve = rows[rows["estimator"] == estimator].set_index("level")["rho"].dropna().sort_index()
    if curve.empty:
        return ""
    symbol, told = symbol_of(kind), f" ({setting_name(setting)})" if setting else ""
    text = f"{duplicate_of(kind)}{told} is worth ρ = {curve.iloc[0]:.2f} exact ones at {symbol} = {curve.index[0]:g}"
    if len(curve) > 1:
        text += f" and {curve.iloc[-1]:.2f} at {symbol} = {curve.index[-1]:g} ({estimator} estimator)"
    half, gap = _crossing(curve, 0.5), _disagreement(rows)
    text += f"; half of the effect is left near {symbol} = {half:.3g}" if half is not None else ""
    return text + (f". The two estimators differ by {gap:.2f} at most." if gap is not None else ".")


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
    """The settings concerned, those of most seeds first: `gemma2B ratio replace 1 (paper estimator, 2 seeds)`."""
    keys = ["model", "attack", "variant", "kind", "level", "setting", "estimator"]
    counts = rows.groupby(keys).size().reset_index(name="seeds").sort_values("seeds", ascending=False, kind="stable")
    names = [
        f"{row.model} {label_of(row.attack)} {row.kind} {' '.join(filter(None, [f'{row.level:g}', row.setting]))} "
        f"({row.variant} score, {row.estimator} estimator, {row.seeds} seed{'s' if row.seeds > 1 else ''})"
        for row in counts.head(SHOWN).itertuples()
    ]
    more = [f"and {len(counts) - SHOWN} more settings in the table"] if len(counts) > SHOWN else []
    return "; ".join(names + more)


def _non_monotone(auc: pd.DataFrame) -> str:
    exact = auc[(auc["kind"] == EXACT) & (auc["level"] >= 1)].sort_values("level")
    curves = exact.groupby(["model", "seed", "attack", "variant", "setting"])["auc"]
    bad = sum(bool((np.diff(curve.round(DECIMALS)) < 0).any()) for _, curve in curves)
    return (
        f"{bad} of {len(curves)} exact curves fall somewhere as copies are added (noise of few canaries); "
        "ρ inverts the smoothed or isotonic curve." if bad else ""
    )  # fmt: skip


def _empty(rows: pd.DataFrame) -> str:
    cases = rows[rows["rho"].isna()]
    return (
        f"{len(cases)} estimates of ρ are empty, for want of a whole exact curve: {_cases(cases)}."
        if len(cases)
        else ""
    )


def _cut_copies(auc: pd.DataFrame) -> str:
    rows = auc[auc["kind"] != NO_INJECTION].drop_duplicates(["model", "seed", "kind", "level", "setting"])
    cut = rows[rows["effective_copies"] < rows["nominal_copies"]]
    if cut.empty:
        return ""
    share = (cut["effective_copies"] / cut["nominal_copies"]).min()
    return (
        f"In {len(cut)} of {len(rows)} settings fewer copies than were injected stand whole in one training sequence "
        f"(the smallest share is {percent(share)}); the tables carry the effective number beside the nominal."
    )


def _baselines(auc: pd.DataFrame) -> Iterable[str]:
    rows = auc[(auc["kind"] == NO_INJECTION) & ((auc["auc_low"] > 0.5) | (auc["auc_high"] < 0.5))]
    for row in rows.itertuples():
        told = f" ({setting_name(row.setting)})" if row.setting else ""
        yield (
            f"{row.model}, seed {row.seed}{told}: {label_of(row.attack)} alone, without any injection, reaches an AUC "
            f"of {number(row.auc)} {interval(row.auc_low, row.auc_high)}: members and non-members differ by themselves."
        )
