"""The extraction sweep: what fine-tuned models repeat of their canaries becomes a table, figures and a report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect

if TYPE_CHECKING:
    from lib.studies.extraction.tables import Extracted

READ = ("extraction", "inject")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write table, figures and report of every finished leaf, and print the measures by kind, setting and level."""
    from lib.studies.extraction import results, tables

    leaves, missing = collect.split(plan, done(root, plan), READ)
    description = collect.description(root, plan, leaves, missing)
    found = results.write(root, plan.name, list(read_records(root, plan, leaves)), description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "extraction of members, means over seeds", *tables.summary(found))


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Extracted"]:
    """What every leaf's model repeats, with the copies that its injection left whole. Checks every checksum."""
    from lib.studies.extraction.tables import SIDES, Extracted

    for leaf in leaves:
        folders = {plan.tasks[digest].stage: directory(root, plan.tasks[digest]) for digest in leaf.nodes.values()}
        sides = collect.verified_columns(folders["extraction"] / places.EXTRACTED, *SIDES)
        copies = collect.verified_columns(folders["inject"] / places.INJECTED, "effective_copies")
        yield Extracted(leaf.point(), sides, float(np.mean(copies["effective_copies"])))
