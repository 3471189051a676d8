"""The audit sweep: what the windows of every collection say becomes tables, a figure and a report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lib.artifacts import store
from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan, Task
from lib.studies import collect, texts

if TYPE_CHECKING:
    from lib.studies.audit.reading import Audited

READ = ("audit", "audit_texts", "score_windows")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figure and report of every finished leaf, and print what is extracted of each collection."""
    from lib.studies.audit import excerpts, results

    leaves, missing = collect.split(plan, done(root, plan), READ)
    found = list(read_audits(root, plan, leaves))
    shown = texts.shown(root, plan, lambda: excerpts.make(found, decoders(root, plan, leaves)))
    description = collect.description(root, plan, leaves, missing, excerpts=shown)
    made = results.write(root, plan.run, found, description, plan.show_texts, most_texts(plan))
    collect.write_missing(root, plan, missing)
    header, rows = results.summary(made)
    for model in dict.fromkeys(row[0] for row in rows):
        title = f"{model}: what is extracted, by threshold of p_z"
        collect.print_table(console, title, header[1:], [row[1:] for row in rows if row[0] == model])


def decoders(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> dict[str, texts.Decode]:
    """What turns ids into text, by model."""
    tokenizers = {}
    for leaf in leaves:
        read = plan.tasks[str(plan.tasks[leaf.digest].inputs["texts"])]
        tokenizers[str(leaf.labels["model"])] = str(read.inputs["tokenizer"])
    return {model: texts.decoder(root, plan, digest) for model, digest in tokenizers.items()}


def most_texts(plan: Plan) -> int:
    """How many texts of a collection were read at most; 0 for all."""
    return max((int(task.config["most"]) for task in plan.tasks.values() if task.stage == "audit_texts"), default=0)


def read_audits(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Audited"]:
    """The audit of every collection by every model. Checks every checksum."""
    from lib.studies.audit import reading

    for leaf in leaves:
        task = plan.tasks[leaf.digest]
        audit, texts, *scored = (directory(root, plan.tasks[one]) for one in (leaf.digest, *_read_from(task)))
        for folder in (audit, texts, *scored):
            store.verify(folder)
        model, collection = (str(leaf.labels[name]) for name in ("model", "collection"))
        windows = [folder / places.WINDOWS for folder in scored]
        yield reading.read(model, collection, audit / places.AUDIT, texts / places.AUDITED, windows)


def _read_from(task: Task) -> list[str]:
    """The digests of the texts, and of all parts of their windows."""
    texts, windows = task.inputs["texts"], task.inputs["windows"]
    return [str(texts), *([windows] if isinstance(windows, str) else windows)]
