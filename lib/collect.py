"""Collection: from finished artifacts to a sweep's tables, figures and report.

Every checksum is compared before a number is used; leaves are taken in the order of their labels, so that the same
artifacts give the same bytes, whatever ran where.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from lib import attempts, files, hdf5, names, store
from lib.config import canonical
from lib.errors import TesseraError
from lib.survey import directory, done
from lib.sweep import Leaf, Plan

if TYPE_CHECKING:  # these import matplotlib and pandas, which other commands do without
    from lib.figures import TrainingCurve
    from lib.published import Reference
    from lib.tables import Record

BOOTSTRAP_SEED = 0
READ = ("membership", "inject", "canaries")  # the stages that a leaf's numbers are read from


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print the closing table.

    Raises TesseraError when no leaf is finished, or naming the first file that is not what was written.
    """
    from lib import results, tables

    finished = done(root, plan)
    leaves, missing = _split(plan, finished)
    if not leaves:
        raise TesseraError(f"{plan.name}: nothing to collect: no setting is finished; submit the sweep")
    records = list(read_records(root, plan, leaves))
    description = results.Description(
        title=plan.title,
        settings=settings(plan),
        provenance=dict(_provenance(root, plan, leaves)),
        warnings=[*_missing(plan, missing), *_without_curve(plan, leaves, finished)],
        published=_published(plan, records),
    )
    measurements = tables.measure([*records, *_baselines(root, plan, leaves)], BOOTSTRAP_SEED)
    found = results.write(root, plan.name, measurements, description, records, _training(root, plan, leaves, finished))
    _write_missing(root, plan, missing)
    _print_summary(root, plan, tables.summary(found["rho"]), console)


def _split(plan: Plan, finished: set[str]) -> tuple[list[Leaf], list[Leaf]]:
    """The leaves in order: those with every artifact that is read for their numbers, and those that lack one."""
    leaves: tuple[list[Leaf], list[Leaf]] = ([], [])
    for leaf in sorted(plan.leaves, key=_order):
        read = {digest for digest in leaf.nodes.values() if plan.tasks[digest].stage in READ}
        leaves[not read <= finished].append(leaf)
    return leaves


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Record"]:
    """The scores of every leaf, with the copies that its injection left whole. Checks every checksum."""
    from lib.tables import Record

    for leaf in leaves:
        scores, injected = (_artifact(root, plan, leaf, stage) for stage in ("membership", "inject"))
        sides = _verified_columns(scores / names.SCORES, "members", "non_members")
        copies = _verified_columns(injected / names.INJECTED, "effective_copies", "nominal_copies")
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


def settings(plan: Plan) -> dict[str, str]:
    """Stage -> its configuration as JSON; a value that differs between tasks is listed."""
    configs: dict[str, list[dict]] = {}
    for task in plan.tasks.values():
        configs.setdefault(task.node, []).append(task.config)
    return {f"settings of {node}": _common(found) for node, found in configs.items()}


def _common(found: list[dict]) -> str:
    merged = {}
    for key in found[0]:
        values = list(dict.fromkeys(canonical(config[key]) for config in found))
        merged[key] = json.loads(values[0]) if len(values) == 1 else [json.loads(value) for value in values]
    return canonical(merged)


def _verified_columns(file: Path, *columns: str) -> dict[str, Any]:
    """What `hdf5.read_columns` gives, every checksum of the artifact compared and the file read only once."""
    return hdf5.read_columns(file, store.read_verified(file.parent, file.name), *columns)


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


def _provenance(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator[tuple[str, str]]:
    for leaf in leaves:
        record = attempts.read(directory(root, plan.tasks[leaf.digest]))[-1]
        place = f"{record.get('device')}, host {record.get('host')}"
        yield _spell(leaf), f"task {leaf.digest}, code {record.get('code')}, {place}"


def _missing(plan: Plan, missing: list[Leaf]) -> list[str]:
    if not missing:
        return []
    labels = "; ".join(map(_spell, missing))
    return [f"Partial: {len(missing)} of {len(plan.leaves)} settings are missing: {labels}."]


def _without_curve(plan: Plan, leaves: Iterable[Leaf], finished: set[str]) -> list[str]:
    """A warning where a fine-tuned model was removed after it had been scored."""
    labels = [_spell(leaf) for leaf, digest in _drawn_trainings(plan, leaves) if digest not in finished]
    return [f"Partial: the training curve is missing of: {'; '.join(labels)}."] if labels else []


def _spell(leaf: Leaf) -> str:
    return ", ".join(f"{key} {value}" for key, value in leaf.labels.items())


def _write_missing(root: Path, plan: Plan, missing: list[Leaf]) -> None:
    """`missing.csv` beside the tables of a partial collection; a whole one has none."""
    file = names.tables(root, plan.name) / "missing.csv"
    if not missing:
        file.unlink(missing_ok=True)
        return
    rows = [",".join([*map(str, leaf.labels.values()), leaf.digest]) for leaf in missing]
    files.write_bytes(file, "\n".join([",".join([*missing[0].labels, "task"]), *rows, ""]).encode())


def _order(leaf: Leaf) -> tuple:
    return tuple((isinstance(value, str), value) for value in leaf.labels.values())


def _print_summary(root: Path, plan: Plan, summary: tuple[list[str], list[list[str]]], console: Console) -> None:
    header, rows = summary
    for model in dict.fromkeys(row[0] for row in rows):
        table = Table(
            *header[1:],
            box=box.SIMPLE_HEAD,
            padding=0,
            title=f"{model}: rho by number of replaced tokens R (isotonic estimator)",
        )
        for _, attack, *values in (row for row in rows if row[0] == model):
            table.add_row(attack, *values)
        console.print(table)
    for what, place in (("tables", names.tables), ("figures", names.figures), ("report", names.report)):
        console.print(f"{what:8} {place(root, plan.name)}", highlight=False)
