"""The extraction sweep: what fine-tuned models repeat of their canaries becomes a table, figures and a report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from lib import collect, names
from lib.survey import directory, done
from lib.sweep import POINT, Leaf, Plan

if TYPE_CHECKING:  # imports pandas, which other commands do without
    from lib.extraction_tables import Extracted

READ = ("extraction", "inject")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write table, figures and report of every finished leaf, and print the measures by kind, setting and level."""
    from lib import extraction_results, extraction_tables, results

    leaves, missing = collect.split(plan, done(root, plan), READ)
    description = results.Description(
        title=plan.title,
        settings=collect.settings(plan),
        provenance=dict(collect.provenance(root, plan, leaves)),
        warnings=collect.missing_words(plan, missing),
    )
    found = extraction_results.write(root, plan.name, list(read_records(root, plan, leaves)), description)
    collect.write_missing(root, plan, missing)
    header, rows = extraction_tables.summary(found)
    shown = Table(*header, box=box.SIMPLE_HEAD, padding=0, title="extraction of members, means over seeds")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Extracted"]:
    """What every leaf's model repeats, with the copies that its injection left whole. Checks every checksum."""
    from lib.extraction_tables import SIDES, Extracted

    for leaf in leaves:
        places = {plan.tasks[digest].stage: directory(root, plan.tasks[digest]) for digest in leaf.nodes.values()}
        sides = collect.verified_columns(places["extraction"] / names.EXTRACTED, *SIDES)
        copies = collect.verified_columns(places["inject"] / names.INJECTED, "effective_copies")
        labels = {**{name: leaf.labels[name] for name in POINT}, "setting": leaf.setting()}
        yield Extracted(labels, sides, float(np.mean(copies["effective_copies"])))
