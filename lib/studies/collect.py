"""Collection: from finished artifacts to a sweep's tables, figures and report.

Each study has its collector, lib/studies/<study>/collect.py, which a sweep names in `tables:`. This is what they share.
Every checksum is compared before a number is used. Leaves are taken in the order of their labels, so that the same
artifacts give the same bytes, wherever they were made.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lib.artifacts import store
from lib.base import files, hdf5, places, yamls
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.plans import runs
from lib.plans.plan import Leaf, Plan
from lib.studies import identity, model_names, paragraph
from lib.texts import data_sets

if TYPE_CHECKING:
    from lib.reporting.excerpts import Excerpt
    from lib.reporting.writer import Description

STUDIES = Path(__file__).parent


SMOKE = "This is a run of profile smoke. It shows that everything works; its numbers mean nothing."
EMPTY: tuple[Any, ...] = ("", [], (), {})  # of a setting; null is an answer
CAVEAT = "No result (profile smoke)."  # before every caption of such a run


class NothingFinishedError(TesseraError):
    """No leaf of a sweep is finished."""


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print the closing table; a part at a time.

    Raises TesseraError when no leaf is finished, or naming the first file that was changed since it was written.
    """
    collected = [_run_part(root, part, console) for part in plan.parts]
    if not plan.parts:
        _run_one(root, plan, console)
    elif not any(collected):
        raise NothingFinishedError(f"{plan.name}: nothing to collect: no setting of its sweeps is finished")


def _run_part(root: Path, part: Plan, console: Console) -> bool:
    """Whether there was something to collect: the others go on without a sweep that has not begun."""
    try:
        run(root, part, console)
    except NothingFinishedError as error:
        console.print(str(error), highlight=False, markup=False)
        return False
    return True


def _run_one(root: Path, plan: Plan, console: Console) -> None:
    known = [file.parent.name for file in STUDIES.glob("*/collect.py")]
    if plan.tables not in known:
        raise UsageError(f"sweep {plan.name}: tables: no study '{plan.tables}'{suggestion(plan.tables, known)}")
    console.print(f"making tables, figures and the report of {plan.run} ...", highlight=False)
    importlib.import_module(f"lib.studies.{plan.tables}.collect").run(root, model_names.named(plan), console)
    if plan.profile == runs.SMOKE:
        console.print(SMOKE, highlight=False)
    for name in ("tables", "figures", "report"):
        console.print(f"{name:8} {getattr(places, name)(root, plan.run)}", highlight=False)


def split(plan: Plan, finished: set[str], read: Iterable[str]) -> tuple[list[Leaf], list[Leaf]]:
    """The leaves in order: those with all artifacts of the stages `read`, and those without.

    Raises NothingFinishedError when no leaf has all.
    """
    whole: list[Leaf] = []
    missing: list[Leaf] = []
    for leaf in sorted(plan.leaves, key=_order):
        needed = {digest for digest in leaf.nodes.values() if plan.tasks[digest].stage in read}
        (whole if needed <= finished else missing).append(leaf)
    if not whole:
        command = runs.command(plan.name, plan.profile, plan.settings)
        raise NothingFinishedError(f"{plan.name}: nothing to collect: no setting is finished; type `{command}`")
    return whole, missing


def description(
    root: Path,
    plan: Plan,
    leaves: Iterable[Leaf],
    missing: list[Leaf],
    warnings: Iterable[str] = (),
    excerpts: "Sequence[Excerpt]" = (),
    done: Mapping[str, str] | None = None,
) -> "Description":
    """What every report says beside its numbers: the run, exact settings, where numbers come from, what is missing.

    done: see `paragraph.write`.
    """
    leaves = list(leaves)
    from lib.reporting.writer import Description
    from lib.studies import run_map

    records = identity.records_of(root, plan)
    run = identity.record(plan, records)
    return Description(
        title=plan.title,
        summary=[SMOKE] if plan.profile == runs.SMOKE else [],
        settings=settings(plan),
        paragraph=paragraph.write(plan, leaves, done),
        run=run_map.make(plan, records),
        cites=(plan.tables,),
        provenance=provenance(leaves, records),
        warnings=[*missing_warning(plan, missing), *warnings],
        excerpts=excerpts,
        identity=identity.shown(run),
        stamp=identity.stamp(run),
        record=run,
        caveat=CAVEAT if plan.profile == runs.SMOKE else "",
    )


def print_table(console: Console, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a closing table; a flagged value is dim, and a line says what its mark means."""
    from lib.reporting.cells import MARK, is_marked

    table, rows = Table(*header, box=box.SIMPLE_HEAD, padding=0, title=title), list(rows)
    for row in rows:
        table.add_row(*(Text(cell, style="dim" if is_marked(cell) else "") for cell in row))
    console.print(table)
    if any(is_marked(cell) for row in rows for cell in row):
        console.print(f"{MARK} is no result; the warnings of the report say why.", highlight=False, markup=False)


def settings(plan: Plan) -> dict[str, str]:
    """Node -> the configuration of its tasks, `key: value, ...` as `--set` spells values."""
    configs: dict[str, list[dict]] = {}
    for task in plan.tasks.values():
        configs.setdefault(task.node, []).append(task.config)
    return {f"settings of {node}": _common(found) for node, found in configs.items()}


def _common(found: list[dict]) -> str:
    """Values that differ between tasks stand beside each other: `seed: 1 | 2`. Left out is a key that is empty, or of a
    source that is not read, in all of them."""
    kept = [key for key in sorted(found[0]) if any(_says_something(config, key) for config in found)]
    values = {key: dict.fromkeys(yamls.spelled(config[key]) for config in found) for key in kept}
    return ", ".join(f"{key}: {' | '.join(each)}" for key, each in values.items())


def _says_something(config: dict, key: str) -> bool:
    return config[key] not in EMPTY and key not in data_sets.unused(config)


def verified_columns(file: Path, *columns: str) -> dict[str, Any]:
    """`hdf5.read_columns` after every checksum of the artifact was compared; the file is read only once."""
    return hdf5.read_columns(file, store.read_verified(file.parent, file.name), *columns)


def provenance(leaves: Iterable[Leaf], records: identity.Records) -> dict[str, str]:
    """Code, device and host of the last stage -> the settings that they made, and their tasks."""
    found: dict[str, list[str]] = {}
    for leaf in leaves:
        record = records[leaf.digest][-1]
        where = f"code {record.get('code')}, {record.get('device')}, host {record.get('host')}"
        found.setdefault(where, []).append(f"{spell(leaf) or 'all'}: task {leaf.digest}")
    return {where: "; ".join(settings) for where, settings in found.items()}


def missing_warning(plan: Plan, missing: list[Leaf]) -> list[str]:
    """The warning of a partial collection; a complete one has none."""
    if not missing:
        return []
    labels = "; ".join(map(spell, missing))
    return [f"Partial: {len(missing)} of {len(plan.leaves)} settings are missing: {labels}."]


def spell(leaf: Leaf) -> str:
    """The labels of a leaf in words."""
    return ", ".join(f"{key} {value}" for key, value in leaf.labels.items())


def write_missing(root: Path, plan: Plan, missing: list[Leaf]) -> None:
    """`missing.csv` beside the tables of a partial collection; a complete one has no such file."""
    file = places.tables(root, plan.run) / places.MISSING
    if not missing:
        file.unlink(missing_ok=True)
        return
    labels = list(dict.fromkeys(name for leaf in missing for name in leaf.labels))
    rows = [",".join([*(str(leaf.labels.get(name, "")) for name in labels), leaf.digest]) for leaf in missing]
    files.write_bytes(file, "\n".join([",".join([*labels, "task"]), *rows, ""]).encode())


def _order(leaf: Leaf) -> tuple:
    return tuple((isinstance(value, str), value) for value in leaf.labels.values())
