"""The near-duplicates sweep: membership scores of every setting become AUC, rho, their figures and the report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from lib import collect, hdf5, names, store
from lib.survey import directory, done
from lib.sweep import Leaf, Plan

if TYPE_CHECKING:  # these import matplotlib and pandas, which other commands do without
    from lib.figures import TrainingCurve
    from lib.published import Reference
    from lib.tables import Record

BOOTSTRAP_SEED = 0
READ = ("membership", "inject", "canaries")  # the stages that a leaf's numbers are read from


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print rho by number of replaced tokens."""
    from lib import results, tables

    finished = done(root, plan)
    leaves, missing = collect.split(plan, finished, READ)
    records = list(read_records(root, plan, leaves))
    description = results.Description(
        title=plan.title,
        settings=collect.settings(plan),
        provenance=dict(collect.provenance(root, plan, leaves)),
        warnings=[*collect.missing_words(plan, missing), *_without_curve(plan, leaves, finished)],
        published=_published(plan, records),
    )
    measurements = tables.measure([*records, *_baselines(root, plan, leaves)], BOOTSTRAP_SEED)
    found = results.write(root, plan.name, measurements, description, records, _training(root, plan, leaves, finished))
    collect.write_missing(root, plan, missing)
    _print_summary(tables.summary(found["rho"]), console)


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Record"]:
    """The scores of every leaf, with the copies that its injection left whole. Checks every checksum."""
    from lib.tables import Record

    for leaf in leaves:
        scores, injected = (_artifact(root, plan, leaf, stage) for stage in ("membership", "inject"))
        sides = collect.verified_columns(scores / names.SCORES, "members", "non_members")
        copies = collect.verified_columns(injected / names.INJECTED, "effective_copies", "nominal_copies")
        yield Record(leaf.labels, **sides, **{name: float(np.mean(column)) for name, column in copies.items()})


def _baselines(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Record"]:
    """How well a bag of words tells the canaries of each model and seed apart, without any model."""
    from lib import bag_of_words

    sides: dict[tuple[str, int], list[Path]] = {}
    for leaf in leaves:
        inputs = plan.tasks[leaf.digest].inputs
        places = [directory(root, plan.tasks[inputs[side]]) for side in ("members", "non_members")]
        if sides.setdefault((leaf.labels["model"], leaf.labels["seed"]), places) is places:
            for place in places:
                store.verify(place)
    for (model, seed), places in sides.items():
        record = bag_of_words.record(model, seed, *(hdf5.read(place / names.CANARIES, "tokens") for place in places))
        if record is not None:
            yield record


def _published(plan: Plan, records: Iterable["Record"]) -> dict[str, "Reference"]:
    """The published curves of the models, when the duplicates were made as some published ones were."""
    from lib import published

    made = [task.config for task in plan.tasks.values() if task.stage == "duplicates"]
    ways = {(config["strategy"], config["top_k"]) for config in made}
    if len(ways) != 1 or any(config["same_positions"] or config["spread"] for config in made):
        return {}
    setting = published.replacement_setting(*ways.pop())
    return published.references({record.labels["model"] for record in records}, *setting) if setting else {}


def _artifact(root: Path, plan: Plan, leaf: Leaf, stage: str) -> Path:
    """The artifact of a leaf's task of one stage."""
    digest = next(digest for digest in leaf.nodes.values() if plan.tasks[digest].stage == stage)
    return directory(root, plan.tasks[digest])


def _training(
    root: Path, plan: Plan, leaves: Iterable[Leaf], finished: set[str]
) -> dict[tuple[str, int], "TrainingCurve"]:
    """Held-out loss and AUC during the exact fine-tunings of the first seed of each model, as far as they are done."""
    from lib.figures import TrainingCurve

    curves = {}
    for leaf, digest in _drawn_trainings(plan, leaves):
        if digest not in finished:
            continue
        file = directory(root, plan.tasks[digest]) / names.METRICS
        store.verify_file(file)
        columns = [hdf5.read(file, name) for name in ("evaluation_step", "held_out_loss", "auc")]
        curves[leaf.labels["model"], leaf.labels["level"]] = TrainingCurve(*columns)
    return curves


def _drawn_trainings(plan: Plan, leaves: Iterable[Leaf]) -> Iterator[tuple[Leaf, str]]:
    """The leaves whose training is drawn, with the digest of their fine-tuning."""
    seen: dict[str, int] = {}
    for leaf in leaves:
        model, seed = leaf.labels["model"], leaf.labels["seed"]
        if leaf.labels["kind"] == "exact" and seen.setdefault(model, seed) == seed:
            yield leaf, next(d for d in leaf.nodes.values() if plan.tasks[d].stage == "finetune")


def _without_curve(plan: Plan, leaves: Iterable[Leaf], finished: set[str]) -> list[str]:
    """A warning where a fine-tuned model was removed after it had been scored."""
    labels = [collect.spell(leaf) for leaf, digest in _drawn_trainings(plan, leaves) if digest not in finished]
    return [f"Partial: the training curve is missing of: {'; '.join(labels)}."] if labels else []


def _print_summary(summary: tuple[list[str], list[list[str]]], console: Console) -> None:
    header, rows = summary
    for model in dict.fromkeys(row[0] for row in rows):
        title = f"{model}: rho by number of replaced tokens R (isotonic estimator)"
        table = Table(*header[1:], box=box.SIMPLE_HEAD, padding=0, title=title)
        for _, attack, *values in (row for row in rows if row[0] == model):
            table.add_row(attack, *values)
        console.print(table)
