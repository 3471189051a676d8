"""The prefix sweeps: how every model continued its prompts becomes shares, figures and the report."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lib.artifacts import store
from lib.base import places
from lib.base.errors import listed
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan, Task
from lib.studies import collect, paragraph, texts

if TYPE_CHECKING:
    from lib.studies.prefix.tables import Attack

READ = ("score_generations",)
SAME = ("model", "prompt_tokens", "decoding", "draw")  # leaves that share these are of several corpora: pooled


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report, and print the share memorized by model and prompt length."""
    from lib.studies.prefix import results

    leaves, missing = collect.split(plan, whole(plan, done(root, plan)), READ)
    left_out = texts.shown(root, plan, list)  # what is shown is chosen while each model's texts are at hand
    description = collect.description(root, plan, leaves, missing, excerpts=left_out, done=_drawn(root, plan, leaves))
    attacks = read_attacks(root, plan, leaves)
    found = results.write(root, plan.run, attacks, description, plan.show_texts)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "share of suffixes repeated whole, by prompt length", *results.summary(found))


def _drawn(root: Path, plan: Plan, leaves: list[Leaf]) -> dict[str, str]:
    """How many prompts there are, in words; what was asked for where a run was fetched without them."""
    found = {str(plan.tasks[leaf.digest].inputs["prompts"]) for leaf in leaves}
    tasks = [task for digest, task in plan.tasks.items() if digest in found]
    files = [directory(root, task) / places.PROMPTS for task in tasks]
    if not all(file.is_file() for file in files):
        return {}
    counts = [len(collect.verified_columns(file, "document")["document"]) for file in files]
    numbers = listed([f"{n:,}" for n in dict.fromkeys(counts)])
    every = {paragraph.a_document(task.config) for task in tasks if not task.config["n_prompts"]}
    return {"number": ", ".join([numbers, *sorted(every)])}


def whole(plan: Plan, finished: set[str]) -> set[str]:
    """The finished tasks without scores whose generations were removed, because those are read as well."""
    return {digest for digest in finished if finished.issuperset(plan.tasks[digest].inputs.get("generations", ()))}


def read_attacks(root: Path, plan: Plan, leaves: list[Leaf]) -> Iterator["Attack"]:
    """The attack on every model by every prompt length, decoding and draw, corpora pooled. Checks every checksum."""
    from lib.studies.prefix import tables

    groups: dict[tuple, dict[str, Leaf]] = {}
    for leaf in leaves:  # of several corpora for which a model has the same prompts the first stands for all
        groups.setdefault(tuple(leaf.labels.get(name) for name in SAME), {}).setdefault(leaf.digest, leaf)
    for group in groups.values():
        yield tables.pool([_attack(root, plan, leaf) for leaf in group.values()])


def _attack(root: Path, plan: Plan, leaf: Leaf) -> "Attack":
    from lib.studies.prefix import reading

    task = plan.tasks[leaf.digest]
    parts = [_verified(root, plan, part, places.GENERATIONS) for part in task.inputs["generations"]]
    scores = _verified(root, plan, leaf.digest, places.PREFIX_SCORES)
    given = {name: leaf.labels[name] for name in ("decoding", "corpus", "draw") if name in leaf.labels}
    labels = reading.Labels(str(leaf.labels["model"]), **given, asked=_asked(plan, task))
    prompts = directory(root, plan.tasks[str(task.inputs["prompts"])]) / places.PROMPTS
    there = prompts if prompts.is_file() else None  # a run may have been fetched without it
    return reading.read(labels, parts, scores, _trained_on(plan, task), there)


def _asked(plan: Plan, task: Task) -> int:
    """How many prompts were asked for, of the whole corpus; 0 where that is open."""
    config = plan.tasks[str(task.inputs["prompts"])].config
    return 0 if config.get("per_subset") else config.get("n_prompts", 0)


def _trained_on(plan: Plan, task: Task) -> bool:
    """Whether the passages of the prompts occur in the model's training text, as often as they say.

    True where passages are not an artifact: then prompts.h5 comes from outside and says how often they occur.
    """
    prompts, model = (plan.tasks[str(task.inputs[name])] for name in ("prompts", "large"))
    passages = prompts.inputs.get("passages")
    return passages is None or passages in model.needs()


def _verified(root: Path, plan: Plan, digest: str, name: str) -> Path:
    """A file of an artifact, after every checksum of the artifact was compared."""
    place = directory(root, plan.tasks[digest])
    store.verify(place)
    return place / name
