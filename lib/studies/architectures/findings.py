"""The architectures study in words: which models can be compared, and how their rho differs."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lib.reporting.cells import interval, number, p_is, short
from lib.studies.architectures.tables import EVERY, Rates
from lib.studies.mosaic.words import label_of, setting_name, symbol_of

MARGIN = 0.03  # of AUC after the most exact copies, between a model and the first one
RATE_TOLERANCE = 0.1  # share by which a rate may be off the one that the rule gives
LEVEL = 0.05  # of significance, after Holm's correction


def in_words(exposure: pd.DataFrame, families: pd.DataFrame) -> Iterator[str]:
    """A paragraph for each pair of models. Tables: rows of one attack, variant and estimator, means over seeds."""
    for row in exposure.itertuples():
        yield (
            f"{row.model} against {row.other_model}: after ν = {row.nu_max} exact copies the AUC of the "
            f"{label_of(row.attack)} attack is {number(row.auc)} against {number(row.other_auc)} "
            f"(difference {row.difference:+.3f} {interval(row.low, row.high)}), at a learning rate of "
            f"{row.learning_rate:g}."
        )
    for (model, other), rows in families.groupby(["model", "other_model"], sort=False):
        yield _pair(str(model), str(other), rows)


def _pair(model: str, other: str, rows: pd.DataFrame) -> str:
    every, single = rows[rows["kind"] == EVERY], rows[rows["kind"] != EVERY]
    distinct = single[(single["p_holm"] < LEVEL) & ~single["flagged"]]
    text = "".join(_mean(model, other, row, len(single)) for row in every.itertuples())
    if distinct.empty:
        return f"{text} No single perturbation tells them apart at 5 % (Holm)."
    cases = "; ".join(map(_case, distinct.itertuples()))
    return f"{text} Single perturbations that tell them apart at 5 % (Holm): {cases}."


def _mean(model: str, other: str, row: Any, perturbations: int) -> str:
    seeds = interval(row.seeds_low, row.seeds_high)
    return (
        f"Over all {perturbations} perturbations the mean ρ is {number(row.rho)} in {model} and "
        f"{number(row.other_rho)} in {other}: a difference of {row.difference:+.3f}, 95 % interval over canaries "
        f"{interval(row.low, row.high)}{f', over {row.n_seeds} seeds {seeds}' if seeds else ''}, "
        f"{p_is(row.p_value)} (paired bootstrap)."
    )


def _case(row: Any) -> str:
    setting = f", {setting_name(row.setting)}" if row.setting else ""
    return (
        f"{row.kind} {symbol_of(row.kind)} = {row.level:g}{setting} ({number(row.rho)} against {number(row.other_rho)})"
    )


def warnings(exposure: pd.DataFrame, rates: pd.DataFrame, trained: Rates) -> Iterator[str]:
    """Why models cannot be compared: exposure that is not equal, rates that the rule does not give."""
    for row in exposure[exposure["difference"].abs() > MARGIN].itertuples():
        yield (
            f"{row.model} and {row.other_model} are not equally exposed: their AUCs after ν = {row.nu_max} differ by "
            f"{row.difference:+.3f}, more than {MARGIN}. Their ρ may differ for that reason alone."
        )
    for model, rows in rates.groupby("model", sort=False):
        matched = rows["matched_rate"].mean()
        if pd.isna(matched):
            yield f"{model}: none of its tried rates brackets the AUC of the first model; widen tried_rates."
        elif abs(trained[str(model)] / matched - 1) > RATE_TOLERANCE:
            yield (
                f"{model} was trained at {trained[str(model)]:g}, but the rule gives {short(matched)} from the table "
                f"`rates`; set learning_rates.{model} (`paper`: hub_models.{model}.learning_rate) to it and run again."
            )
