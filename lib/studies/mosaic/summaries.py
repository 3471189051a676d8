"""Tables small enough for a terminal or a report: AUC, rho, differences and DeLong tests.

Values of rho that are no result (see `rho_table.is_flagged`) are marked; equal scores have one row (`equal_scores`).
"""

from typing import Any

import pandas as pd

from lib.reporting.cells import TextTable, estimate, interval, mark, number, p_value, without_empty
from lib.studies.mosaic import equal_scores
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.rho_table import flagged
from lib.studies.mosaic.words import CORRECTED, EXACT, attack_rank, ordered_settings, setting_name, symbol_of

NONE_EQUAL: Equal = {}


def rho_summary(
    rho: pd.DataFrame, estimator: str = "isotonic", variant: str = CORRECTED, kind: str = "replace",
    equal: Equal = NONE_EQUAL,
) -> TextTable:  # fmt: skip
    """Mean rho over seeds with its interval by level, a row for each model, setting and attack."""
    rows = _means(rho, estimator, variant, kind)
    return _by_level(rows.assign(marked=flagged(rows)), "rho", symbol_of(kind), equal)


def rho_closing(rho: pd.DataFrame, attack: str, kind: str, estimator: str = "isotonic") -> TextTable:
    """Mean rho over seeds of one attack with its interval, and its AUC: a row for each model, setting and level."""
    rows = _means(rho, estimator, CORRECTED, kind)
    rows = rows[rows["attack"] == attack]
    order = ordered_settings(rows["setting"])
    found = sorted(rows.itertuples(), key=lambda row: (row.model, order.index(row.setting), row.level))
    marks = flagged(rows)
    header = ["model", *(["setting"] if any(order) else []), symbol_of(kind), "ρ", "95 % interval", "AUC"]
    return header, [
        [
            row.model,
            *([setting_name(row.setting)] if any(order) else []),
            f"{row.level:g}",
            mark(number(row.rho), marks[row.Index]),
            interval(row.rho_low, row.rho_high),
            number(row.auc),
        ]
        for row in found
    ]


def auc_summary(
    means: pd.DataFrame, variant: str = CORRECTED, kind: str = EXACT, equal: Equal = NONE_EQUAL
) -> TextTable:
    """Mean AUC over seeds with its interval by level, one row for each model, setting and attack. means: the table
    `auc_means`. None is marked: an AUC near one half is a result, that of an attack which guesses."""
    rows = means[(means["variant"] == variant) & (means["kind"] == kind)]
    return _by_level(rows.assign(marked=False), "auc", symbol_of(kind), equal)


def differences_summary(differences: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """Means over seeds, one row for each pair of settings, of one attack by one estimator; no column that is empty."""
    rows = differences[differences["seed"].isna() & (differences["attack"] == attack)]
    rows = rows[(rows["variant"] == variant) & (rows["estimator"] == estimator)]
    header = ["model", "this", "other", "ρ", "ρ of the other", "difference", "interval", "p", "p by Holm", "over seeds"]
    return without_empty((header, [_difference(row) for row in rows.itertuples()]))


def changes_summary(changes: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """Means over seeds of one attack: the AUC after the most exact copies, then rho by level, of each setting.

    No column is empty."""
    rows = changes[changes["seed"].isna() & (changes["attack"] == attack) & (changes["variant"] == variant)]
    top = rows.groupby(["model", "setting"])["level"].transform("max").where(rows["quantity"] == "auc")
    rows = rows[(rows["estimator"] == estimator) | (rows["level"] == top)]
    header = ["model", "setting", "what", "value", "default", "difference", "interval", "p", "over seeds"]
    rows = rows.sort_values(["model", "setting", "quantity", "level"])
    return without_empty((header, [_change(row) for row in rows.itertuples()]))


def delong_summary(delong: pd.DataFrame, variant: str = CORRECTED, equal: Equal = NONE_EQUAL) -> TextTable:
    """Every attack against the baseline after the most exact copies of the default setting, one row for each seed."""
    rows = delong[(delong["kind"] == EXACT) & (delong["variant"] == variant) & (delong["setting"] == "")]
    rows = equal_scores.once(rows[rows["level"] == rows["level"].max()], equal)
    header = ["model", "attack", "seed", "AUC", "AUC of the baseline", "difference", "p", "p by Holm"]
    return header, [_delong(row, equal) for row in rows.itertuples()]


def _means(rho: pd.DataFrame, estimator: str, variant: str, kind: str) -> pd.DataFrame:
    rows = rho[rho["seed"].isna() & (rho["estimator"] == estimator)]
    return rows[(rows["variant"] == variant) & (rows["kind"] == kind)]


def _by_level(rows: pd.DataFrame, value: str, symbol: str, equal: Equal) -> TextTable:
    """A column for each level, and one for the setting if there is any but the default. rows: with `marked`."""
    rows = equal_scores.once(rows, equal)
    levels, order = sorted(set(rows["level"])), ordered_settings(rows["setting"])
    lines = []
    for (model, setting, attack), group in sorted(
        rows.groupby(["model", "setting", "attack"]),
        key=lambda item: (item[0][0], order.index(item[0][1]), attack_rank(item[0][2])),
    ):
        found = _cells(group, value)
        name = equal_scores.label(attack, group["variant"].iloc[0], equal)
        lines.append([model, *([setting] if any(order) else []), name, *(found.get(level, "") for level in levels)])
    header = ["model", *(["setting"] if any(order) else []), "attack", *(f"{symbol}={level:g}" for level in levels)]
    return header, lines


def _cells(rows: pd.DataFrame, value: str) -> dict[float, str]:
    """level -> the value with its interval, marked where `marked` says so."""
    columns = (rows[name] for name in ("level", value, f"{value}_low", f"{value}_high", "marked"))
    return {level: estimate(middle, low, high, marked) for level, middle, low, high, marked in zip(*columns)}


def _difference(row: Any) -> list[str]:
    symbol = symbol_of(row.kind)
    return [
        row.model,
        _point(symbol, row.level, row.setting),
        _point(symbol, row.other_level, row.other_setting),
        *map(number, (row.rho, row.other_rho)),
        mark(number(row.difference), row.flagged),
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
        *map(number, (row.value, row.default)),
        mark(number(row.difference), row.flagged),
        interval(row.low, row.high),
        p_value(row.p_value),
        interval(row.seeds_low, row.seeds_high),
    ]


def _point(symbol: str, level: float, setting: str) -> str:
    """`R=5, k=10`."""
    return f"{symbol}={level:g}, {setting}" if setting else f"{symbol}={level:g}"


def _delong(row: Any, equal: Equal) -> list[str]:
    numbers = map(number, (row.auc, row.baseline_auc, row.difference))
    name = equal_scores.label(row.attack, row.variant, equal)
    return [row.model, name, str(row.seed), *numbers, *map(p_value, (row.p_value, row.p_holm))]
