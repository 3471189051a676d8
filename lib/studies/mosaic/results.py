"""The results of a mosaic sweep from its measurements: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from lib.base import places
from lib.reporting import frames, page, series, writer
from lib.reporting.cells import TextTable, is_marked, mean_over_seeds
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.mosaic import (
    auc_table,
    changes_table,
    delong_table,
    differences_table,
    equal_scores,
    figures,
    findings,
    published,
    rho_table,
    summaries,
    words,
)
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.figures import TrainingCurve
from lib.studies.mosaic.measurements import Measurement, Record
from lib.studies.mosaic.published import Key, Reference
from lib.studies.mosaic.words import CORRECTED, EXACT, level_name

NO_RESULT = (
    "† is no result: ρ at or beyond an end of the exact curve or on a flat part of it, or what comes from an AUC whose "
    "interval includes 0.5."
)
PERFECT = (
    "1.000 [1.000, 1.000]: every member scores above every non-member, so no resample of these canaries can differ; "
    "other canaries may."
)
PAIRED = "p is by the paired bootstrap, and by a z test where fewer than 10 draws lie on one side of 0."
DELONG = (
    "Paired DeLong tests against the loss attack on the same canaries, after the most exact copies. The second p is "
    "corrected for the number of attacks by Holm's method; equal scores count once."
)

Tables = Mapping[str, pd.DataFrame]
Training = Mapping[tuple[str, int], TrainingCurve]


@dataclass(frozen=True)
class MosaicDescription(Description):
    """variant, estimator: the scores and the rho that figures, findings and the report show. published: the published
    rho of each (model, kind, setting) that has it; published_auc: the published AUC of the ratio attack."""

    variant: str = CORRECTED
    estimator: str = "isotonic"
    published: Mapping[Key, Reference] = field(default_factory=dict)
    published_auc: Mapping[Key, Reference] = field(default_factory=dict)


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
    equal = equal_scores.find(records)
    single = {**found, **{name: equal_scores.once(found[name], equal) for name in ("auc", "rho")}}
    write_published(places.tables(root, name) / places.PUBLISHED_CURVES, description.published)
    results = Results(
        found,
        draw(single, description, records, training or {}, equal),
        list(shown(found, description, equal, _draws(measurements))),
        _sentences(found, description, records, training or {}),
        _warnings(single, records, training or {}),
        page.METHODS,
    )
    writer.write(root, name, results, description)
    return found


def _sentences(
    found: Tables, description: MosaicDescription, records: Sequence[Record], training: Training
) -> list[str]:
    said = findings.in_words(found["auc_means"], found["rho"], description.variant, description.estimator)
    return [*said, *findings.before_training(training, records)]


def _warnings(found: Tables, records: Sequence[Record], training: Training) -> list[str]:
    return [
        *findings.warnings(found["auc"], found["rho"]),
        *findings.apart_before_training(training, records),
        *findings.forgetting(training),
    ]


def make(
    measurements: Sequence[Measurement], records: Sequence[Record], planned: rho_table.LargestCopies | None = None
) -> dict[str, pd.DataFrame]:
    """All tables by name; `delong` only with records, `changes` only where a setting has exact copies of its own."""
    rows = rho_table.rows(measurements, planned)
    found = {
        "auc": auc_table.make(measurements),
        "auc_means": auc_table.means(measurements),
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
    found: Tables, description: MosaicDescription, records: Sequence[Record] = (), training: Training | None = None,
    equal: Equal = MappingProxyType({}),
) -> list[Drawn]:  # fmt: skip
    """Every figure that the tables, records and training curves allow, with its title and caption."""
    auc, rho = found["auc"], found["rho"]
    kinds = sorted(set(rho["kind"]))
    attack = _main_attack(auc, description)
    drawn: list[Drawn] = []
    for kind in (EXACT, *kinds):
        if _drawable(auc, kind, description):
            drawn += _aucs(auc, kind, description, attack)
    estimators = sorted(set(rho["estimator"]), key=lambda name: (name != description.estimator, name))
    for kind in kinds:
        if _drawable(rho[rho["rho"].notna()], kind, description):
            drawn += [
                _rho(rho, kind, estimator, description, attack)
                for estimator in estimators
                if _has_result(rho, kind, estimator, description, attack)
            ]
            drawn.append(_attacks(rho, kind, description, attack))
    if any(record.labels["kind"] == EXACT for record in records):
        drawn.append(_roc(records, description, equal))
    if training:
        drawn.append(_training(training))
    return drawn


def _drawable(table: pd.DataFrame, kind: str, description: MosaicDescription) -> bool:
    return bool(((table["kind"] == kind) & (table["variant"] == description.variant)).any())


def _has_result(rho: pd.DataFrame, kind: str, estimator: str, description: MosaicDescription, attack: str) -> bool:
    results, _ = figures.rho_points(rho, estimator, description.variant, kind)
    return bool((results["attack"] == attack).any())


def _main_attack(auc: pd.DataFrame, description: MosaicDescription) -> str:
    return words.main_attack(set(auc[auc["variant"] == description.variant]["attack"]))


def _settings(table: pd.DataFrame, kind: str) -> int:
    return table[table["kind"] == kind]["setting"].nunique()


def _aucs(auc: pd.DataFrame, kind: str, description: MosaicDescription, attack: str) -> Iterator[Drawn]:
    """The AUC of the main attack beside the published one, and of every attack if there are others."""
    variant, references = description.variant, _of_kind(description.published_auc, kind)
    figure = figures.auc_figure(auc, kind, variant, attack, references)
    scores = (
        f"{_lines(auc, kind)}{words.label_of(attack)} attack, {variant} scores. {_bars(auc)}{_grey(figure, references)}"
    )
    caption = f"AUC against {level_name(kind)}: {scores} Dotted: guessing."
    yield Drawn(f"auc_{kind}", f"AUC, {words.kind_name(kind)}", caption, figure)
    if auc[(auc["kind"] == kind) & (auc["variant"] == variant)]["attack"].nunique() > 1:
        figure = figures.auc_attacks_figure(auc, kind, variant, attack)
        caption = f"AUC against {level_name(kind)}, one panel per attack, {variant} scores. {_bars(auc)}"
        caption += _other_attack(figure, attack)
        yield Drawn(f"auc_{kind}_attacks", f"AUC, {words.kind_name(kind)}, every attack", caption, figure)


def _lines(table: pd.DataFrame, kind: str) -> str:
    return "one line per setting, " if _settings(table, kind) > 1 else ""


def _of_kind(found: Mapping[Key, Reference], kind: str) -> dict[Key, Reference]:
    return {key: curve for key, curve in found.items() if key[1] == kind}


def _grey(figure: Figure, references: Mapping[Key, Reference], estimator: str = "") -> str:
    """What a caption says of published curves, if any are drawn."""
    if not figures.has_curves_behind(figure):
        return ""
    models = {published.model_of(reference.label, key[0]) for key, reference in references.items()}
    what = f"ratio attack, {estimator}mean and standard deviation of 5 seeds"
    return f" Grey: what was published of {', '.join(sorted(models))} ({what})."


def _other_attack(figure: Figure, attack: str) -> str:
    """What a caption says of the lines of the main attack, if any are drawn in the panels of others."""
    if not figures.has_curves_behind(figure):
        return ""
    return f" Grey lines in the other panels: the {words.label_of(attack)} attack."


def _rho(rho: pd.DataFrame, kind: str, estimator: str, description: MosaicDescription, attack: str) -> Drawn:
    references = _of_kind(description.published, kind)
    figure = figures.rho_figure(rho, estimator, description.variant, kind, references, attack)
    caption = (
        f"ρ by the {estimator} estimator against {level_name(kind)}: {_lines(rho, kind)}{words.label_of(attack)} "
        f"attack, {description.variant} scores. {_bars(rho)} What is no result (flagged in the table) is left out."
        f"{_grey(figure, references, 'paper estimator, ')}"
    )
    return Drawn(f"rho_{kind}_{estimator}", f"ρ, {words.kind_name(kind)}, {estimator} estimator", caption, figure)


def _attacks(rho: pd.DataFrame, kind: str, description: MosaicDescription, attack: str) -> Drawn:
    figure = figures.attacks_figure(rho, description.estimator, description.variant, kind, attack)
    caption = (
        f"ρ by the {description.estimator} estimator against {level_name(kind)}, one panel per attack, "
        f"{description.variant} scores. {_bars(rho)} Hollow grey points are no result (flagged in the table)."
        f"{_other_attack(figure, attack)}"
    )
    return Drawn(f"rho_{kind}_attacks", f"ρ, {words.kind_name(kind)}, every attack", caption, figure)


def _roc(records: Sequence[Record], description: MosaicDescription, equal: Equal) -> Drawn:
    level = figures.roc_level(records)
    over = mean_over_seeds(len({record.labels["seed"] for record in records}))
    caption = f"TPR at each FPR, {over}, on log axes. The dotted line is chance."
    figure = figures.roc_figure(records, EXACT, level, description.variant, equal)
    return Drawn("roc", f"ROC after {level} exact copies", caption, figure, series.reading(figure, x=0.1))


def _training(training: Training) -> Drawn:
    caption = "Held-out loss and AUC of the loss attack at each evaluation of the fine-tuning."
    return Drawn("training", "During fine-tuning", caption, figures.training_figure(training))


def _bars(table: pd.DataFrame) -> str:
    seeds = table["seed"].nunique()
    if seeds > 1:
        return f"Mean and one standard deviation over {seeds} seeds."
    return "One seed; bars are 95 % bootstrap intervals over canaries."


def _draws(measurements: Sequence[Measurement]) -> int:
    """Of the bootstrap; 0 where only AUCs are known."""
    return max((len(one.samples) for one in measurements if one.samples is not None), default=0)


def shown(found: Tables, description: MosaicDescription, equal: Equal, draws: int) -> Iterator[ReportTable]:
    """What the report shows of the tables. draws: of the bootstrap; without any there are no intervals, and no p."""
    variant = description.variant
    attack = _main_attack(found["auc"], description)
    over = _over_seeds(found["auc"], draws)
    caption = f"AUC by exact copies ν, {variant} scores, {over}"
    yield _table("auc", caption, summaries.auc_summary(found["auc_means"], variant, EXACT, equal), found["auc"])
    yield from _rho_tables(found["rho"], description, equal, over)
    compared = f"{over} {PAIRED}" if draws else over
    if len(found["differences"]):
        yield _differences_table(found["differences"], attack, description, compared)
    if "changes" in found:
        yield _changes_table(found["changes"], attack, description, compared)
    if "delong" in found:
        cells = summaries.delong_summary(found["delong"], variant, equal)
        yield _table("delong", DELONG, cells, found["delong"])


def _over_seeds(table: pd.DataFrame, draws: int) -> str:
    """The end of a caption: what a value is of, and what its interval is over, if it has one."""
    mean = f"{mean_over_seeds(table['seed'].nunique())}."
    return f"{mean} Intervals are 95 % over canaries (percentile bootstrap, {draws:,} draws)." if draws else mean


def _rho_tables(rho: pd.DataFrame, description: MosaicDescription, equal: Equal, over: str) -> Iterator[ReportTable]:
    kinds = sorted(set(rho["kind"]))
    for kind in kinds:
        name, rows = (f"rho_{kind}", rho[rho["kind"] == kind]) if len(kinds) > 1 else ("rho", rho)
        caption = (
            f"ρ of {words.kind_name(kind)} by {level_name(kind)}, {description.estimator} estimator, "
            f"{description.variant} scores, {over}"
        )
        yield _table(
            name, caption, summaries.rho_summary(rows, description.estimator, description.variant, kind, equal), rows
        )


def _differences_table(
    differences: pd.DataFrame, attack: str, description: MosaicDescription, over: str
) -> ReportTable:
    caption = (
        f"Differences of ρ between settings on the same canaries, {words.label_of(attack)} attack, "
        f"{description.estimator} estimator, {over}"
    )
    cells = summaries.differences_summary(differences, attack, description.estimator, description.variant)
    return _table("differences", caption, cells, differences)


def _changes_table(changes: pd.DataFrame, attack: str, description: MosaicDescription, over: str) -> ReportTable:
    caption = (
        "Settings with exact copies of their own, less the default: AUC after the most exact copies, and ρ, "
        f"{words.label_of(attack)} attack, {description.estimator} estimator, {over}"
    )
    cells = summaries.changes_summary(changes, attack, description.estimator, description.variant)
    return _table("changes", caption, cells, changes)


def _table(name: str, caption: str, shown: TextTable, whole: pd.DataFrame) -> ReportTable:
    """A table of the report, whose caption says what is meant by the marks and names that occur in it."""
    cells = list(itertools.chain(*shown[1]))
    notes = [NO_RESULT] if any(map(is_marked, cells)) else []
    notes += [PERFECT] if "1.000 [1.000, 1.000]" in cells else []
    notes += [equal_scores.EQUAL] if any("(= " in cell for cell in cells) else []
    return report_table(name, " ".join([caption, *notes, "All rows:"]), shown, whole)
