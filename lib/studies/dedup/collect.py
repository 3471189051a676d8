"""The dedup sweep: what went of a corpus, whether duplicates are left, and how far given texts stood in it."""

from pathlib import Path

from rich.console import Console

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import runs
from lib.plans.finished import directory, done
from lib.plans.plan import Plan
from lib.studies import collect, texts

READ = ("cleaned", "cuts", "windows_left", "text_windows", "near_duplicates")
FILES = {
    "cleaned_once": places.CLEANED,
    "cleaned": places.CLEANED,
    "left": places.LEFT,
    "windows": places.TARGETS,
    "near_duplicates": places.NEAR_DUPLICATES,
}


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figure and report, and print what went by cause and number of copies, and where the files lie."""
    from lib.studies.dedup import reading, results, shown

    leaves, missing = collect.split(plan, done(root, plan), READ)
    made = {name: digest for leaf in leaves for name, digest in leaf.nodes.items()}
    if "cleaned_once" not in made:
        command = runs.command(plan.name, plan.profile, plan.settings)
        raise TesseraError(f"{plan.name}: the cleaned corpus is not finished; type `{command}`")
    files = {node: _file(root, plan, made[node], name) for node, name in FILES.items() if node in made}
    found = reading.read(files)
    task = plan.tasks[made["cleaned_once"]]
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, task, files["cleaned_once"]))
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts)
    results.write(root, plan.run, found, plan.tasks[made["cuts"]].config["keep"], description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "what went", *results.summary(found))
    place = files.get("cleaned", files["cleaned_once"]).with_name(places.CLEANED_FILES)
    console.print(f"cleaned  {place}", highlight=False, markup=False, soft_wrap=True)


def _file(root: Path, plan: Plan, digest: str, name: str) -> Path:
    """The result of a task, every checksum of its artifact compared."""
    place = directory(root, plan.tasks[digest])
    store.verify(place)
    return place / name
