"""The results of a mosaic sweep from its measurements: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lib.base import places
from lib.reporting import frames, page, series, writer
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.mosaic import (
    auc_table,
    changes_table,
    delong_table,
    differences_table,
    figures,
    findings,
    published,
    rho_table,
    summaries,
    words,
)
from lib.studies.mosaic.figures import TrainingCurve
from lib.studies.mosaic.measurements import Measurement, Record
from lib.studies.mosaic.published import Key, Reference
from lib.studies.mosaic.words import CORRECTED, EXACT, level_name

Tables = Mapping[str, pd.DataFrame]
Training = Mapping[tuple[str, int], TrainingCurve]


@dataclass(frozen=True)
class MosaicDescription(Description):
    """variant, estimator: the scores and the rho that figures, findings and the report show. published: the published
    curve of each (model, kind, setting) that has one."""

    variant: str = CORRECTED
    estimator: str = "isotonic"
    published: Mapping[Key, Reference] = field(default_factory=dict)


def write(
    root: Path, name: str, measurements: Sequence[Measurement], description: MosaicDescription,
    records: Sequence[Record] = (), training: Training | None = None, planned: rho_table.LargestCopies | None = None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Write the results of sweep `name` under `root`; returns its tables by name.

    records add the ROC figure and the table `delong`; training adds the figure of held-out loss and AUC; planned: see
    `rho_table.make`.
    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(measurements, records, planned)
    auc, rho, variant = found["auc"], found["rho"], description.variant
    write_published(places.tables(root, name) / places.PUBLISHED_CURVES, description.published)
    results = Results(
        found,
        draw(found, description, records, training or {}),
        list(shown(found, description)),
        findings.in_words(auc, rho, variant, description.estimator),
        [*findings.warnings(auc, rho), *findings.forgetting(training or {})],
        page.METHODS,
    )
    writer.write(root, name, results, description)
    return found


def make(
    measurements: Sequence[Measurement], records: Sequence[Record], planned: rho_table.LargestCopies | None = None
) -> dict[str, pd.DataFrame]:
    """All tables by name; `delong` only with records, `changes` only where a setting has exact copies of its own."""
    rows = rho_table.rows(measurements, planned)
    found = {
        "auc": auc_table.make(measurements),
        "rho": rho_table.from_rows(rows),
        "differences": differences_table.make(rows),
    }
    changes = changes_table.make(measurements, rows)
    if len(changes):
        found["changes"] = changes
    return {**found, "delong": delong_table.make(records)} if records else found


def write_published(path: Path, found: Mapping[Key, Reference]) -> None:
    """The published curves, for the report over all sweeps; without any, the file is removed."""
    path.unlink(missing_ok=True)
    if found:
        frames.write_csv(path, published.beside(found))


def draw(
    found: Tables, description: MosaicDescription, records: Sequence[Record] = (), training: Training | None = None
) -> list[Drawn]:
    """Every figure that the tables, records and training curves allow, with its title and caption."""
    auc, rho = found["auc"], found["rho"]
    kinds = sorted(set(rho["kind"]))
    attacks = {kind: _drawn_attack(auc, kind, description) for kind in (EXACT, *kinds)}
    drawn = [_auc(auc, kind, description, attacks[kind]) for kind in attacks if _drawable(auc, kind, description)]
    estimators = sorted(set(rho["estimator"]), key=lambda name: (name != description.estimator, name))
    drawn += [
        _rho(rho, kind, estimator, description, attacks[kind])
        for kind in kinds
        if _drawable(rho[rho["rho"].notna()], kind, description)
        for estimator in estimators
    ]
    if any(record.labels["kind"] == EXACT for record in records):
        drawn.append(_roc(records, description))
    if training:
        drawn.append(_training(training))
    return drawn


def _drawable(table: pd.DataFrame, kind: str, description: MosaicDescription) -> bool:
    return bool(((table["kind"] == kind) & (table["variant"] == description.variant)).any())


def _drawn_attack(auc: pd.DataFrame, kind: str, description: MosaicDescription) -> str | None:
    """The attack that is drawn for a kind with several settings; None where every attack has a line."""
    several = auc[auc["kind"] == kind]["setting"].nunique() > 1
    return summaries.main_attack(auc, description.variant) if several else None


def _lines(attack: str | None) -> str:
    return f"one line per setting, {words.label_of(attack)} attack" if attack else "one line per attack"


def _auc(auc: pd.DataFrame, kind: str, description: MosaicDescription, attack: str | None) -> Drawn:
    caption = f"AUC against {level_name(kind)}: {_lines(attack)}, {description.variant} scores. {_bars(auc)}"
    figure = figures.auc_figure(auc, kind, description.variant, attack)
    return Drawn(f"auc_{kind}", f"AUC, {words.kind_name(kind)}", caption, figure)


def _rho(rho: pd.DataFrame, kind: str, estimator: str, description: MosaicDescription, attack: str | None) -> Drawn:
    caption = (
        f"ρ by the {estimator} estimator against {level_name(kind)}: {_lines(attack)}, {description.variant} scores. "
        f"{_bars(rho)}"
    )
    references = {key: curve for key, curve in description.published.items() if key[1] == kind}
    if references:
        caption += " Grey: the published curve (ratio attack, paper estimator, mean and standard deviation of 5 seeds)."
    figure = figures.rho_figure(rho, estimator, description.variant, kind, references, attack)
    return Drawn(f"rho_{kind}_{estimator}", f"ρ, {words.kind_name(kind)}, {estimator} estimator", caption, figure)


def _roc(records: Sequence[Record], description: MosaicDescription) -> Drawn:
    level = figures.roc_level(records)
    caption = "Mean TPR over seeds at each FPR, on log axes. The dotted line is chance."
    figure = figures.roc_figure(records, EXACT, level, description.variant)
    return Drawn("roc", f"ROC after {level} exact copies", caption, figure, series.reading(figure, x=0.1))


def _training(training: Training) -> Drawn:
    caption = "Held-out loss and AUC of the loss attack at each evaluation of the fine-tuning."
    return Drawn("training", "During fine-tuning", caption, figures.training_figure(training))


def _bars(table: pd.DataFrame) -> str:
    seeds = table["seed"].nunique()
    if seeds > 1:
        return f"Mean and one standard deviation over {seeds} seeds."
    return "One seed; bars are 95 % bootstrap intervals over canaries."


def shown(found: Tables, description: MosaicDescription) -> Iterator[ReportTable]:
    """What the report shows of the tables."""
    auc, differences, variant = found["auc"], found["differences"], description.variant
    caption = f"AUC by exact copies ν, {variant} scores, mean over seeds. All rows:"
    yield report_table("auc", caption, summaries.auc_summary(auc, variant), auc)
    yield from _rho_tables(found["rho"], description)
    if len(differences):
        yield _differences_table(differences, summaries.main_attack(auc, variant), description)
    if "changes" in found:
        yield _changes_table(found["changes"], summaries.main_attack(auc, variant), description)
    if "delong" in found:
        caption = (
            "Paired DeLong tests against the loss attack on the same canaries, after the most exact copies. The second "
            "p is corrected for the number of attacks by Holm's method. All rows:"
        )
        delong = found["delong"]
        yield report_table("delong", caption, summaries.delong_summary(delong, variant), delong)


def _rho_tables(rho: pd.DataFrame, description: MosaicDescription) -> Iterator[ReportTable]:
    kinds = sorted(set(rho["kind"]))
    for kind in kinds:
        name, rows = (f"rho_{kind}", rho[rho["kind"] == kind]) if len(kinds) > 1 else ("rho", rho)
        caption = (
            f"ρ of {words.kind_name(kind)} by {level_name(kind)}, {description.estimator} estimator, "
            f"{description.variant} scores, mean over seeds. All rows:"
        )
        cells = summaries.rho_summary(rows, description.estimator, description.variant, kind)
        yield report_table(name, caption, cells, rows)


def _differences_table(differences: pd.DataFrame, attack: str, description: MosaicDescription) -> ReportTable:
    caption = (
        f"Differences of ρ between settings on the same canaries, {words.label_of(attack)} attack, "
        f"{description.estimator} estimator, mean over seeds. Intervals are 95 % over canaries; p is by paired "
        "bootstrap. All rows:"
    )
    cells = summaries.differences_summary(differences, attack, description.estimator, description.variant)
    return report_table("differences", caption, cells, differences)


def _changes_table(changes: pd.DataFrame, attack: str, description: MosaicDescription) -> ReportTable:
    caption = (
        "Settings with exact copies of their own, less the default: AUC after the most exact copies, and ρ, "
        f"{words.label_of(attack)} attack, {description.estimator} estimator, mean over seeds. Intervals are 95 % over "
        "canaries. All rows:"
    )
    cells = summaries.changes_summary(changes, attack, description.estimator, description.variant)
    return report_table("changes", caption, cells, changes)
