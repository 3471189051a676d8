"""Tables small enough for a terminal or a report: AUC, rho, differences and DeLong tests."""

from typing import Any

import pandas as pd

from lib.reporting.cells import TextTable, interval, number, p_value
from lib.studies.mosaic.words import CORRECTED, EXACT, NO_INJECTION, ordered_settings, symbol_of


def rho_summary(
    rho: pd.DataFrame, estimator: str = "isotonic", variant: str = CORRECTED, kind: str = "replace",
    attack: str | None = None,
) -> TextTable:  # fmt: skip
    """Mean rho over seeds by level, a row for each model, setting and attack; of one attack alone, if it is given."""
    rows = rho[rho["seed"].isna() & (rho["estimator"] == estimator)]
    rows = rows[(rows["variant"] == variant) & (rows["kind"] == kind)]
    return _by_level(rows if attack is None else rows[rows["attack"] == attack], "rho", symbol_of(kind))


def auc_summary(auc: pd.DataFrame, variant: str = CORRECTED, kind: str = EXACT) -> TextTable:
    """Mean AUC over seeds by level, one row for each model, setting and attack."""
    return _by_level(auc[(auc["variant"] == variant) & (auc["kind"] == kind)], "auc", symbol_of(kind))


def differences_summary(differences: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """Means over seeds, one row for each pair of settings, of one attack by one estimator."""
    rows = differences[differences["seed"].isna() & (differences["attack"] == attack)]
    rows = rows[(rows["variant"] == variant) & (rows["estimator"] == estimator)]
    header = ["model", "this", "other", "ρ", "ρ of the other", "difference", "interval", "p", "p by Holm", "over seeds"]
    return header, [_difference(row) for row in rows.itertuples()]


def changes_summary(changes: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """Means over seeds of one attack: the AUC after the most exact copies, then rho by level, of each setting."""
    rows = changes[changes["seed"].isna() & (changes["attack"] == attack) & (changes["variant"] == variant)]
    top = rows.groupby(["model", "setting"])["level"].transform("max").where(rows["quantity"] == "auc")
    rows = rows[(rows["estimator"] == estimator) | (rows["level"] == top)]
    header = ["model", "setting", "what", "value", "default", "difference", "interval", "p", "over seeds"]
    return header, [_change(row) for row in rows.sort_values(["model", "setting", "quantity", "level"]).itertuples()]


def delong_summary(delong: pd.DataFrame, variant: str = CORRECTED) -> TextTable:
    """Every attack against the baseline after the most exact copies of the default setting, one row for each seed."""
    rows = delong[(delong["kind"] == EXACT) & (delong["variant"] == variant) & (delong["setting"] == "")]
    rows = rows[rows["level"] == rows["level"].max()]
    header = ["model", "attack", "seed", "AUC", "AUC of the baseline", "difference", "p", "p by Holm"]
    return header, [_delong(row) for row in rows.itertuples()]


def main_attack(auc: pd.DataFrame, variant: str = CORRECTED) -> str:
    """The attack that stands for all where one is shown: `ratio`, as in every published rho, or without it the
    steepest one."""
    rows = auc[(auc["variant"] == variant) & (auc["kind"] != NO_INJECTION)]
    return "ratio" if "ratio" in set(rows["attack"]) else steepest_attack(rows[rows["kind"] == EXACT])


def steepest_attack(exact: pd.DataFrame) -> str:
    """The attack whose AUC rises most from the fewest to the most exact copies, mean over models and seeds.

    rho inverts this rise: an attack that finds nearly every canary after one copy cannot say how many copies a fuzzy
    duplicate is worth.
    """
    means = exact.groupby(["attack", "level"])["auc"].mean().unstack("level").sort_index(axis=1)
    rises = means.iloc[:, -1] - (means.iloc[:, 0] if means.shape[1] > 1 else 0.0)
    return str(rises.idxmax())


def _by_level(rows: pd.DataFrame, value: str, symbol: str) -> TextTable:
    """A column for each level, and one for the setting if there is any but the default."""
    means = rows.groupby(["model", "setting", "attack", "level"])[value].mean().unstack("level")
    order = {setting: i for i, setting in enumerate(ordered_settings(rows["setting"]))}
    means = means.sort_index(key=lambda index: index.map(order) if index.name == "setting" else index)
    names = ["model", "setting", "attack"] if any(order) else ["model", "attack"]
    header = [*names, *(f"{symbol}={level:g}" for level in means.columns)]
    found = zip(means.reset_index()[names].to_numpy(), means.to_numpy())
    return header, [[*map(str, key), *map(number, values)] for key, values in found]


def _difference(row: Any) -> list[str]:
    symbol = symbol_of(row.kind)
    return [
        row.model,
        _point(symbol, row.level, row.setting),
        _point(symbol, row.other_level, row.other_setting),
        *map(number, (row.rho, row.other_rho, row.difference)),
        interval(row.low, row.high),
        *map(p_value, (row.p_value, row.p_holm)),
        interval(row.seeds_low, row.seeds_high),
    ]


def _change(row: Any) -> list[str]:
    what = "AUC" if row.quantity == "auc" else "ρ"
    return [
        row.model,
        row.setting,
        f"{what}, {_point(symbol_of(row.kind), row.level, '')}",
        *map(number, (row.value, row.default, row.difference)),
        interval(row.low, row.high),
        p_value(row.p_value),
        interval(row.seeds_low, row.seeds_high),
    ]


def _point(symbol: str, level: float, setting: str) -> str:
    """`R=5, k=10`."""
    return f"{symbol}={level:g}, {setting}" if setting else f"{symbol}={level:g}"


def _delong(row: Any) -> list[str]:
    numbers = map(number, (row.auc, row.baseline_auc, row.difference))
    return [row.model, row.attack, str(row.seed), *numbers, *map(p_value, (row.p_value, row.p_holm))]
