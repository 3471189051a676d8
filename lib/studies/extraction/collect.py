"""The extraction sweep: what fine-tuned models repeat of their canaries becomes a table, figures and a report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts
from lib.studies.mosaic import collect as mosaic_collect

if TYPE_CHECKING:
    from lib.studies.extraction.tables import Extracted

READ = ("extraction", "inject")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write table, figures and report of every finished leaf, and print the measures by kind, setting and level."""
    from lib.studies.extraction import results, shown

    leaves, missing = collect.split(plan, done(root, plan), READ)
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, leaves))
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts)
    found = results.write(root, plan.run, list(read_records(root, plan, leaves)), description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, results.closing(found), *results.summary(found, results.CLOSING))


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Extracted"]:
    """What the model of every leaf repeats, with the copies that its injection left whole. Checks every checksum."""
    from lib.studies.extraction import reading

    for leaf in leaves:
        folders = {plan.tasks[digest].stage: directory(root, plan.tasks[digest]) for digest in leaf.nodes.values()}
        extracted, injected = folders["extraction"] / places.EXTRACTED, folders["inject"] / places.INJECTED
        yield reading.read(leaf.point(), extracted, injected, _repeats(plan, leaf))


def _repeats(plan: Plan, leaf: Leaf) -> bool:
    """Whether a leaf repeats the published extraction."""
    from lib.studies.extraction import published

    config = plan.tasks[leaf.digest].config
    cut = config["prompt_tokens"], config["suffix_tokens"]
    return cut == (published.PROMPT_TOKENS, published.SUFFIX_TOKENS) and mosaic_collect.made_as_published(plan, leaf)
