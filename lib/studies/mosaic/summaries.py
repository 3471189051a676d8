"""Tables small enough for a terminal or a report: rho and AUC by level, attacks against the loss."""

import pandas as pd

from lib.reporting.cells import TextTable, number, p_value
from lib.studies.mosaic.words import CORRECTED, EXACT, NO_INJECTION, ordered_settings, symbol_of


def summary(
    rho: pd.DataFrame, estimator: str = "isotonic", variant: str = CORRECTED, kind: str = "replace",
    attack: str | None = None,
) -> TextTable:  # fmt: skip
    """The closing table: rho by level, a row for each model, setting and attack (one attack alone, if it is given);
    means over seeds. Returns (header, rows)."""
    mine = rho["seed"].isna() & (rho["estimator"] == estimator) & (rho["variant"] == variant) & (rho["kind"] == kind)
    return _pivot(rho[mine & (rho["attack"].eq(attack) | (attack is None))], "rho", symbol_of(kind))


def auc_summary(
    auc: pd.DataFrame, variant: str = CORRECTED, kind: str = EXACT
) -> TextTable:  # fmt: skip
    """AUC by level, a row for each model, setting and attack; means over seeds. Returns (header, rows)."""
    return _pivot(auc[(auc["variant"] == variant) & (auc["kind"] == kind)], "auc", symbol_of(kind))


def delong_summary(delong: pd.DataFrame, variant: str = CORRECTED) -> TextTable:
    """Every attack against the baseline after the most exact copies of the default setting, a row for each seed.
    Returns (header, rows)."""
    rows = delong[(delong["kind"] == EXACT) & (delong["variant"] == variant) & (delong["setting"] == "")]
    rows = rows[rows["level"] == rows["level"].max()]
    header = ["model", "attack", "seed", "AUC", "AUC of the baseline", "difference", "p", "p by Holm"]
    return header, [
        [
            row.model,
            row.attack,
            str(row.seed),
            *map(number, (row.auc, row.baseline_auc, row.difference)),
            p_value(row.p_value),
            p_value(row.p_holm),
        ]
        for row in rows.itertuples()
    ]


def main_attack(auc: pd.DataFrame, variant: str = CORRECTED) -> str:
    """The attack that speaks where there is room for one: `ratio`, which is behind every published rho, or the one that
    tells copies apart best where there is no ratio."""
    rows = auc[(auc["variant"] == variant) & (auc["kind"] != NO_INJECTION)]
    return "ratio" if "ratio" in set(rows["attack"]) else telling_attack(rows[rows["kind"] == EXACT])


def telling_attack(exact: pd.DataFrame) -> str:
    """The attack whose AUC rises most from the fewest to the most exact copies, mean over models and seeds.

    rho inverts this rise: an attack that finds nearly every canary after one copy tells nothing of how many a fuzzy
    duplicate is worth.
    """
    means = exact.groupby(["attack", "level"])["auc"].mean().unstack("level").sort_index(axis=1)
    rises = means.iloc[:, -1] - (means.iloc[:, 0] if means.shape[1] > 1 else 0.0)
    return str(rises.idxmax())


def _pivot(rows: pd.DataFrame, value: str, symbol: str) -> TextTable:
    """A column a level; one for the setting where there is any but the default."""
    means = rows.groupby(["model", "setting", "attack", "level"])[value].mean().unstack("level")
    order = {setting: i for i, setting in enumerate(ordered_settings(rows["setting"]))}
    means = means.sort_index(key=lambda index: index.map(order) if index.name == "setting" else index)
    names = ["model", "setting", "attack"] if any(order) else ["model", "attack"]
    header = [*names, *(f"{symbol}={level:g}" for level in means.columns)]
    found = zip(means.reset_index()[names].to_numpy(), means.to_numpy())
    return header, [[*map(str, key), *map(number, values)] for key, values in found]
