"""The results of the architectures sweep: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lib.reporting import page, writer
from lib.reporting.cells import (
    TextTable,
    estimate,
    interval,
    mark,
    mean_over_seeds,
    number,
    p_value,
    short,
    without_empty,
)
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.architectures import figures, findings, tables
from lib.studies.architectures.tables import EVERY, Rates
from lib.studies.mosaic import auc_table, equal_scores, rho_table
from lib.studies.mosaic import findings as mosaic_findings
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.measurements import Measurement
from lib.studies.mosaic.results import NO_RESULT, PAIRED
from lib.studies.mosaic.words import CORRECTED, label_of, main_attack, setting_name, symbol_of

ESTIMATOR = "isotonic"
DIFFERENCE = ["difference", "interval", "p", "p by Holm", "over seeds"]
METHODS = {
    "Models compared": "All models have the same tokenizer, canaries, duplicates, books and order of sequences. Each "
    "is read off its own exact curve, and draws of canaries are shared, so that a difference has the interval "
    "of paired samples. p by Holm is corrected for the perturbations of one pair of models.",
    "Learning rates": "The first model has its own rate. Each other model has the rate at which it would have the same "
    "AUC (ratio attack, first seed) after the most exact copies: linear interpolation in the log of the rate between "
    "the tried ones, the lowest such rate.",
}

Tables = Mapping[str, pd.DataFrame]


def write(
    root: Path, name: str, measured: Sequence[Measurement], description: Description,
    planned: rho_table.LargestCopies, trained: Rates, equal: Equal,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Write the results of sweep `name` under `root`; returns its tables by name.

    planned: see `rho_table.make`; trained: model -> its learning rate, the model that others are compared with first;
    equal: scores that are one attack, which figures, captions and warnings count once. Each score has a family of
    corrected p-values of its own, so that no equal score counts in them.
    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(measured, planned, trained)
    shown = {name: _shown_rows(table, found) for name, table in found.items()}
    single = {name: equal_scores.once(found[name], equal) for name in ("auc", "rho")}
    results = Results(
        found,
        draw(shown, list(trained)),
        list(tables_shown(shown, found, list(trained), equal)),
        list(findings.in_words(_means(shown["exposure"]), _means(shown["families"]))),
        [
            *findings.warnings(_means(shown["exposure"]), shown["rates"], trained),
            *mosaic_findings.warnings(**single),
        ],
        {**page.METHODS, **METHODS},
    )
    writer.write(root, name, results, description)
    return found


def make(measured: Sequence[Measurement], planned: rho_table.LargestCopies, trained: Rates) -> dict[str, pd.DataFrame]:
    """All tables by name."""
    rows = rho_table.rows(measured, planned)
    return {
        "auc": auc_table.make(measured),
        "rho": rho_table.from_rows(rows),
        "families": tables.families_table(rows, trained),
        "exposure": tables.exposure_table(measured, trained),
        "rates": tables.rates_table(measured, trained),
    }


def draw(shown: Tables, models: Sequence[str]) -> list[Drawn]:
    """The figures with their titles and captions."""
    attack, over = f"{label_of(_attack(shown))} attack", _over_seeds(shown)
    single = "; small marks are single seeds" if shown["auc"]["seed"].nunique() > 1 else ""
    rho = (
        f"ρ of each model by perturbation: {attack}, {ESTIMATOR} estimator, {over}, with 95 % intervals over "
        f"canaries{single}."
    )
    exposure = (
        f"Left: AUC against exact copies, {attack}, {over}{single}. Right: the AUC after the most copies "
        "against the learning rate; the dotted line is that of the first model, a star the rate that the rule gives."
    )
    drawn = []
    if shown["rho"]["rho"].notna().any():
        figure = figures.rho_figure(shown["rho"][shown["rho"]["rho"].notna()], models)
        drawn.append(Drawn("rho", "ρ, families side by side", rho, figure))
    figure = figures.exposure_figure(shown["auc"], shown["rates"], models)
    return [*drawn, Drawn("exposure", "Exposure", exposure, figure)]


def summary(found: Tables, models: Iterable[str]) -> TextTable:
    """The closing table: rho of each model (mean over seeds), a row for each perturbation."""
    rho = _means(_shown_rows(found["rho"], found))
    columns = (rho[name] for name in ("rho", "rho_low", "rho_high"))
    rho = rho.assign(cell=[estimate(*given) for given in zip(*columns, rho_table.flagged(rho))])
    order = rho[["kind", "setting", "level"]].drop_duplicates().itertuples(index=False, name=None)
    wide = rho.pivot(index=["kind", "setting", "level"], columns="model", values="cell").reindex(list(order))
    wide = wide.reindex(columns=list(models)).fillna("")
    rows = [[_place(*key), *cells] for key, cells in zip(wide.index, wide.to_numpy())]
    return ["perturbation", *wide.columns], rows


def tables_shown(shown: Tables, found: Tables, models: Sequence[str], equal: Equal) -> Iterable[ReportTable]:
    """What the report shows of the tables."""
    attack = equal_scores.caption(_attack(found), CORRECTED, equal)
    scores = f"{ESTIMATOR} estimator, {_over_seeds(found)}, 95 % intervals over canaries. {attack} {NO_RESULT}"
    yield report_table("rho", f"ρ of each model, {scores} All rows:", summary(found, models), found["rho"])
    caption = f"Differences of ρ on the same canaries (this model minus the other), {scores} {PAIRED} All rows:"
    yield report_table("families", caption, _families(_means(shown["families"])), found["families"])
    caption = "AUC after the most exact copies, beside that of the first model. All rows:"
    yield report_table("exposure", caption, _exposure(shown["exposure"]), found["exposure"])
    caption = "AUC after the most exact copies by learning rate, and the rate that the rule gives. All rows:"
    yield report_table("rates", caption, _rates(shown["rates"]), found["rates"])


def _over_seeds(found: Tables) -> str:
    return mean_over_seeds(found["auc"]["seed"].nunique())


def _attack(found: Tables) -> str:
    return main_attack(set(found["auc"][found["auc"]["variant"] == CORRECTED]["attack"]))


def _shown_rows(table: pd.DataFrame, found: Tables) -> pd.DataFrame:
    """The rows of the main attack, corrected, and of one estimator."""
    rows = table[(table["attack"] == _attack(found)) & (table["variant"] == CORRECTED)]
    return rows[rows["estimator"] == ESTIMATOR] if "estimator" in rows else rows


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["seed"].isna()]


def _place(kind: str, setting: str, level: float) -> str:
    if kind == EVERY:
        return "mean of all"
    return f"{kind} {symbol_of(kind)}={level:g}{f', {setting_name(setting)}' if setting else ''}"


def _families(rows: pd.DataFrame) -> TextTable:
    header = ["perturbation", "model", "other", "ρ", "ρ of the other", *DIFFERENCE]
    cells = [
        [
            _place(row.kind, row.setting, row.level), row.model, row.other_model,
            *map(number, (row.rho, row.other_rho)), mark(number(row.difference), row.flagged),
            interval(row.low, row.high), *map(p_value, (row.p_value, row.p_holm)),
            interval(row.seeds_low, row.seeds_high),
        ]
        for row in rows.itertuples()
    ]  # fmt: skip
    return without_empty((header, cells))


def _exposure(rows: pd.DataFrame) -> TextTable:
    """A row for each seed, and one for the mean where there are several."""
    header = ["model", "other", "seed", "rate", "AUC", "AUC of the other", "difference", "interval"]
    rows = rows if rows["seed"].nunique() > 1 else rows[rows["seed"].notna()]
    return header, [
        [
            row.model, row.other_model, "mean" if pd.isna(row.seed) else str(row.seed), short(row.learning_rate),
            *map(number, (row.auc, row.other_auc, row.difference)), interval(row.low, row.high),
        ]
        for row in rows.itertuples()
    ]  # fmt: skip


def _rates(rows: pd.DataFrame) -> TextTable:
    header = ["model", "seed", "rate", "AUC", "interval", "AUC of the first model", "rate by the rule"]
    return header, [
        [
            row.model, str(row.seed), short(row.learning_rate), number(row.auc), interval(row.auc_low, row.auc_high),
            number(row.target_auc), short(row.matched_rate),
        ]
        for row in rows.itertuples()
    ]  # fmt: skip
