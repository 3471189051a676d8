"""Which canaries the report of an extraction sweep shows, by rule: those of each model after the most exact copies."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.base import places
from lib.plans.finished import directory
from lib.plans.plan import Leaf, Plan
from lib.reporting.excerpts import Excerpt
from lib.studies import collect, continuations, texts
from lib.studies.extraction import excerpts
from lib.studies.mosaic import words
from lib.studies.mosaic.words import EXACT

MOST = 12  # models


def make(root: Path, plan: Plan, leaves: Sequence[Leaf]) -> Iterator[Excerpt]:
    """Members of the first seed of each model, of at most MOST models. Checks every checksum.

    leaves: finished ones in their order.
    """
    models = list(dict.fromkeys(leaf.labels["model"] for leaf in leaves))
    more = f" {MOST} of {len(models)} models are shown." if len(models) > MOST else ""
    for model in models[:MOST]:
        yield _excerpt(root, plan, _most_injected([leaf for leaf in leaves if leaf.labels["model"] == model]), more)


def _most_injected(leaves: Sequence[Leaf]) -> Leaf:
    """The leaf with the most exact copies, of the first seed and setting; without any, the first leaf."""
    exact = [leaf for leaf in leaves if leaf.labels["kind"] == EXACT] or leaves[:1]
    same = [leaf for leaf in exact if _run_of(leaf) == _run_of(exact[0])]
    return max(same, key=lambda leaf: leaf.labels["level"])


def _run_of(leaf: Leaf) -> tuple[int, str]:
    return leaf.labels["seed"], leaf.setting()


def _excerpt(root: Path, plan: Plan, leaf: Leaf, more: str) -> Excerpt:
    tasks = {plan.tasks[digest].stage: plan.tasks[digest] for digest in leaf.nodes.values()}
    task, injection = tasks["extraction"], tasks["inject"]
    decode = texts.decoder(root, plan, str(injection.inputs["target_tokenizer"]))
    members = directory(root, plan.tasks[str(task.inputs["members"])]) / places.CANARIES
    canaries = collect.verified_columns(members, "tokens")["tokens"]
    columns = collect.verified_columns(directory(root, task) / places.EXTRACTED, "members")["members"]
    rows = list(excerpts.passages(decode, canaries, task.config["prompt_tokens"], columns))
    level = f"{words.level_name(leaf.labels['kind'])} = {leaf.labels['level']:g}"
    return Excerpt(f"{leaf.labels['model']}, {level}", f"Seed {leaf.labels['seed']}. {continuations.RULE}{more}", rows)
