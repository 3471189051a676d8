"""The extraction sweep: what fine-tuned models repeat of their canaries becomes a table, figures and a report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from lib import collect, names
from lib.survey import directory, done
from lib.sweep import Leaf, Plan

if TYPE_CHECKING:  # imports pandas, which other commands do without
    from lib.extraction_tables import Extracted

READ = ("extraction", "inject")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write table, figures and report of every finished leaf, and print the measures by kind, setting and level."""
    from lib import extraction_results, extraction_tables

    leaves, missing = collect.split(plan, done(root, plan), READ)
    description = collect.description(root, plan, leaves, missing)
    found = extraction_results.write(root, plan.name, list(read_records(root, plan, leaves)), description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "extraction of members, means over seeds", *extraction_tables.summary(found))


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Extracted"]:
    """What every leaf's model repeats, with the copies that its injection left whole. Checks every checksum."""
    from lib.extraction_tables import SIDES, Extracted

    for leaf in leaves:
        folders = {plan.tasks[digest].stage: directory(root, plan.tasks[digest]) for digest in leaf.nodes.values()}
        sides = collect.verified_columns(folders["extraction"] / names.EXTRACTED, *SIDES)
        copies = collect.verified_columns(folders["inject"] / names.INJECTED, "effective_copies")
        yield Extracted(leaf.point(), sides, float(np.mean(copies["effective_copies"])))
