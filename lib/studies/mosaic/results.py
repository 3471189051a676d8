"""What a sweep hands over: tables (CSV and HDF5), figures (PNG and PDF) and the report, from measurements."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lib.base import places
from lib.reporting import frames, page, writer
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.mosaic import delong as mosaic_delong
from lib.studies.mosaic import differences as mosaic_differences
from lib.studies.mosaic import figures, findings, measure, published, rho_rows, summaries, words
from lib.studies.mosaic.measure import Measurement, Record
from lib.studies.mosaic.published import Key, Reference
from lib.studies.mosaic.words import CORRECTED, EXACT, level_name


@dataclass(frozen=True)
class MosaicDescription(Description):
    """variant, estimator: of scores and of rho, which figures, findings and the report show. published: the published
    curve of each (model, kind, setting) that has one."""

    variant: str = CORRECTED
    estimator: str = "isotonic"
    published: Mapping[Key, Reference] = field(default_factory=dict)


def write(
    root: Path, name: str, measurements: Sequence[Measurement], description: MosaicDescription,
    records: Sequence[Record] = (), training: Mapping[tuple[str, int], figures.TrainingCurve] | None = None,
    planned: rho_rows.Curves | None = None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Write the results of sweep `name` under `root`; returns its tables by name.

    records add the ROC figure and the `delong` table, training the figure of held-out loss and AUC; planned: see
    `rho_rows.rho_table`.
    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    rho = rho_rows.rho_rows(measurements, planned)
    found = {
        "auc": measure.auc_table(measurements),
        "rho": rho_rows.rho_frame(rho),
        "differences": mosaic_differences.table(rho),
    }
    if records:
        found["delong"] = mosaic_delong.delong_table(records)
    _write_published(places.tables(root, name) / "published.csv", description)
    auc, rows = found["auc"], found["rho"]
    results = Results(
        found, _draw(auc, rows, description, records, training or {}), _shown(found, description),
        findings.in_words(auc, rows, description.variant, description.estimator), findings.warnings(auc, rows),
        page.METHODS,
    )  # fmt: skip
    writer.write(root, name, results, description)
    return found


def _write_published(path: Path, description: MosaicDescription) -> None:
    """The published curves, for the report over all sweeps; no file where there is none."""
    path.unlink(missing_ok=True)
    if description.published:
        frames.write_csv(path, published.beside(description.published))


def _draw(
    auc: pd.DataFrame, rho: pd.DataFrame, description: MosaicDescription, records: Sequence[Record],
    training: Mapping[tuple[str, int], figures.TrainingCurve],
) -> list[Drawn]:  # fmt: skip
    kinds = sorted(set(rho["kind"]))
    attack = {kind: _drawn_attack(auc, kind, description) for kind in (EXACT, *kinds)}
    drawn = [_auc(auc, kind, description, attack[kind]) for kind in attack if _drawable(auc, kind, description)]
    for kind in kinds:
        estimators = sorted(
            set(rho["estimator"]), key=lambda estimator: (estimator != description.estimator, estimator)
        )
        drawn += [
            _rho(rho, kind, estimator, description, attack[kind]) for estimator in estimators
            if _drawable(rho[rho["rho"].notna()], kind, description)
        ]  # fmt: skip
    if any(record.labels["kind"] == EXACT for record in records):
        drawn.append(_roc(records, description))
    if training:
        drawn.append(_training(training))
    return drawn


def _drawable(table: pd.DataFrame, kind: str, description: MosaicDescription) -> bool:
    return bool(((table["kind"] == kind) & (table["variant"] == description.variant)).any())


def _drawn_attack(auc: pd.DataFrame, kind: str, description: MosaicDescription) -> str | None:
    """The one attack that is drawn of a kind with several settings; None where every attack has a line."""
    several = auc[auc["kind"] == kind]["setting"].nunique() > 1
    return summaries.main_attack(auc, description.variant) if several else None


def _lines(attack: str | None) -> str:
    return f"a line a setting, {words.label_of(attack)} attack" if attack else "a line an attack"


def _auc(auc: pd.DataFrame, kind: str, description: MosaicDescription, attack: str | None) -> Drawn:
    caption = f"AUC against {level_name(kind)}: {_lines(attack)}, {description.variant} variants. {_bars(auc)}"
    figure = figures.auc_figure(auc, kind, description.variant, attack)
    return Drawn(f"auc_{kind}", f"AUC, {words.kind_name(kind)}", caption, figure)


def _rho(rho: pd.DataFrame, kind: str, estimator: str, description: MosaicDescription, attack: str | None) -> Drawn:
    caption = (
        f"ρ by the {estimator} estimator against {level_name(kind)}: {_lines(attack)}, {description.variant} variants. "
        f"{_bars(rho)}"
    )
    references = {key: curve for key, curve in description.published.items() if key[1] == kind}
    if references:
        caption += " Grey: the published curve (ratio attack, paper estimator, mean and standard deviation of 5 seeds)."
    figure = figures.rho_figure(rho, estimator, description.variant, kind, references, attack)
    return Drawn(f"rho_{kind}_{estimator}", f"ρ, {words.kind_name(kind)}, {estimator} estimator", caption, figure)


def _roc(records: Sequence[Record], description: MosaicDescription) -> Drawn:
    level = figures.roc_level(records)
    caption = "Log axes; the mean TPR over seeds at each FPR. The dotted line is chance."
    figure = figures.roc_figure(records, EXACT, level, description.variant)
    return Drawn("roc", f"ROC after {level} exact copies", caption, figure)


def _training(training: Mapping[tuple[str, int], figures.TrainingCurve]) -> Drawn:
    caption = "Held-out loss and AUC of the loss attack at each evaluation of the fine-tuning."
    return Drawn("training", "During fine-tuning", caption, figures.training_figure(training))


def _bars(table: pd.DataFrame) -> str:
    seeds = table["seed"].nunique()
    return (
        f"Mean and one standard deviation over {seeds} seeds." if seeds > 1
        else "One seed; bars are 95 % bootstrap intervals over canaries."
    )  # fmt: skip


def _shown(found: Mapping[str, pd.DataFrame], description: MosaicDescription) -> list[page.ReportTable]:
    auc, variant = found["auc"], description.variant
    caption = f"AUC by exact copies ν, {variant} variants, mean over seeds. All rows:"
    listed = [page.report_table("auc", caption, summaries.auc_summary(auc, variant), auc)]
    listed += _rho_tables(found["rho"], description)
    if len(found["differences"]):
        listed.append(_differences_table(found["differences"], summaries.main_attack(auc, variant), description))
    if "delong" in found:
        caption = (
            "Paired DeLong tests against the loss attack on the same canaries, after the most exact copies; beside p "
            "that corrected for the number of attacks by Holm's method. All rows:"
        )
        delong = found["delong"]
        listed.append(page.report_table("delong", caption, summaries.delong_summary(delong, variant), delong))
    return listed


def _rho_tables(rho: pd.DataFrame, description: MosaicDescription) -> Iterator[page.ReportTable]:
    kinds = sorted(set(rho["kind"]))
    for kind in kinds:
        name, rows = (f"rho_{kind}", rho[rho["kind"] == kind]) if len(kinds) > 1 else ("rho", rho)
        caption = (
            f"ρ of {words.kind_name(kind)} by {level_name(kind)}, {description.estimator} estimator, "
            f"{description.variant} variants, mean over seeds. All rows:"
        )
        shown = summaries.summary(rows, description.estimator, description.variant, kind)
        yield page.report_table(name, caption, shown, rows)


def _differences_table(differences: pd.DataFrame, attack: str, description: MosaicDescription) -> page.ReportTable:
    caption = (
        f"Differences of ρ between settings on the same canaries, {words.label_of(attack)} attack, "
        f"{description.estimator} estimator, mean over seeds; 95 % over canaries, p by paired bootstrap. All rows:"
    )
    shown = mosaic_differences.summary(differences, attack, description.estimator, description.variant)
    return page.report_table("differences", caption, shown, differences)
