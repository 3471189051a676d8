"""Which canaries and fuzzy duplicates a report shows, by rule: the first canary, and its first variation at three
levels of each kind and setting, of the first model and seed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.base import places
from lib.plans.finished import directory
from lib.plans.plan import Leaf, Plan, Task
from lib.reporting.excerpts import Excerpt, Passage
from lib.studies import texts
from lib.studies.mosaic import excerpts, reading, words
from lib.studies.mosaic.words import EXACT

ROW = 0  # the canary that is shown
MOST = 6  # kinds and settings

Group = tuple[str, str]  # kind and setting


def make(root: Path, plan: Plan, leaves: Sequence[Leaf]) -> Iterator[Excerpt]:
    """An excerpt for each kind and setting, those of another kind first, at most MOST. Checks every checksum.

    leaves: finished ones whose models were scored, in their order. With exact copies alone it is the canary.
    """
    if not leaves:
        return
    model, seed = (leaves[0].labels[name] for name in ("model", "seed"))
    same = [leaf for leaf in leaves if (leaf.labels["model"], leaf.labels["seed"]) == (model, seed)]
    groups: dict[Group, list[Leaf]] = {}
    for leaf in same:
        if _injection(plan, leaf).config["copies"] > (leaf.labels["kind"] != EXACT):  # more than the original
            groups.setdefault((leaf.labels["kind"], leaf.setting()), []).append(leaf)
    chosen = _chosen(groups)
    more = f" {MOST} of {len(chosen)} kinds and settings are shown." if len(chosen) > MOST else ""
    for group in chosen[:MOST]:
        yield _excerpt(root, plan, group, sorted(groups[group], key=lambda leaf: leaf.labels["level"]), more)


def _chosen(groups: Iterable[Group]) -> list[Group]:
    """Those with fuzzy duplicates, the first setting of every kind before the second of any; without any, exact
    copies."""
    seen: dict[str, int] = {}
    ranked = []
    for kind, setting in groups:
        ranked.append((seen.setdefault(kind, 0), kind, setting))
        seen[kind] += 1
    fuzzy = [(kind, setting) for _, kind, setting in sorted(ranked, key=lambda one: one[0]) if kind != EXACT]
    return fuzzy or [(kind, setting) for _, kind, setting in ranked]


def _excerpt(root: Path, plan: Plan, group: Group, leaves: Sequence[Leaf], more: str) -> Excerpt:
    kind, setting = group
    name = words.kind_name(kind) + (f", {words.setting_name(setting)}" if setting else "")
    levels = [] if kind == EXACT else texts.three(leaves)
    labels = leaves[0].labels
    caption = f"The first canary of {labels['model']}, seed {labels['seed']}"
    which = "each level" if len(levels) == len(leaves) else f"{len(levels)} of {len(leaves)} levels"
    caption += f", and its first duplicate at {which}" if levels else ""
    rows = [[one] for one in _passages(root, plan, leaves[-1], levels)]
    return Excerpt(name[0].upper() + name[1:], f"{caption}, as they stand in the training text.{more}", rows)


def _passages(root: Path, plan: Plan, last: Leaf, levels: Sequence[Leaf]) -> Iterator[Passage]:
    task = _injection(plan, last)
    decode = texts.decoder(root, plan, str(task.inputs["target_tokenizer"]))
    canary = reading.canary(_input(root, plan, task, "canaries") / places.CANARIES, ROW)
    yield excerpts.original(decode, canary, _copies(root, task)[0])
    for leaf in levels:
        kind, level = leaf.labels["kind"], leaf.labels["level"]
        found = _duplicate(root, plan, _injection(plan, leaf))
        yield from excerpts.duplicate(decode, canary, found, f"{words.symbol_of(kind)} = {level:g}")


def _duplicate(root: Path, plan: Plan, task: Task) -> excerpts.Copy:
    """The copy behind the original: the first variation, or the canary in pieces."""
    copy = _copies(root, task)[1]
    if "duplicates" not in task.inputs:
        return copy
    return replace(copy, ids=reading.variation(_input(root, plan, task, "duplicates") / places.DUPLICATES, ROW))


def _copies(root: Path, task: Task) -> list[excerpts.Copy]:
    return reading.copies(directory(root, task) / places.INJECTED, ROW)


def _injection(plan: Plan, leaf: Leaf) -> Task:
    return next(plan.tasks[digest] for digest in leaf.nodes.values() if plan.tasks[digest].stage == "inject")


def _input(root: Path, plan: Plan, task: Task, name: str) -> Path:
    found: Any = task.inputs[name]
    return directory(root, plan.tasks[found])
