"""The dedup sweep: what went of a corpus, whether duplicates are left, and how far given texts stood in it."""

from pathlib import Path

from rich.console import Console

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import runs
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts

READ = ("cleaned", "cuts", "windows_left", "text_windows", "near_duplicates")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figure and report, and print what went by cause and number of copies, and where the files lie."""
    from lib.studies.dedup import reading, results, shown

    leaves, missing = collect.split(plan, done(root, plan), READ)
    by_node = {plan.tasks[leaf.digest].node: leaf for leaf in leaves}
    if "cleaned" not in by_node:
        command = runs.command(plan.name, plan.profile, plan.settings)
        raise TesseraError(f"{plan.name}: the cleaned corpus is not finished; type `{command}`")
    files = {node: _file(root, plan, by_node[leaf], node) for node, (leaf, _) in FILES.items() if leaf in by_node}
    removed, found = reading.read(files)
    task = plan.tasks[by_node["cleaned"].digest]
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, task, files["cleaned"]))
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts)
    keep = plan.tasks[by_node["cleaned"].nodes["cuts"]].config["keep"]
    results.write(root, plan.run, found, removed, keep, description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "what went", *results.summary(found))
    place = files["cleaned"].with_name(places.CLEANED_FILES)
    console.print(f"cleaned  {place}", highlight=False, markup=False, soft_wrap=True)


FILES = {  # node -> the leaf that has it, and its result
    "cleaned": ("cleaned", places.CLEANED),
    "left": ("left", places.LEFT),
    "windows": ("near_duplicates", places.TARGETS),
    "near_duplicates": ("near_duplicates", places.NEAR_DUPLICATES),
}


def _file(root: Path, plan: Plan, leaf: Leaf, node: str) -> Path:
    """The result of a leaf's node, every checksum of its artifact compared."""
    place = directory(root, plan.tasks[leaf.nodes[node]])
    store.verify(place)
    return place / FILES[node][1]
