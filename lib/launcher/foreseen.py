"""What is said of a plan before it runs, from configurations and local files alone: by stages of their tasks, of
settings that change nothing, and of exact curves that no rho can be read off."""

from collections.abc import Iterator
from typing import Any

from lib.artifacts import stage
from lib.base import config
from lib.plans.plan import POINT, Leaf, Plan, Task

SCORES, EXACT = "membership", "exact"  # the stage and the label of which exact curves are made


def texts(plan: Plan) -> list[str]:
    """A sentence for every task that cannot give what is asked of it, for every idle setting, and for every curve
    that is too short, each once."""
    of_tasks = [text for task in plan.tasks.values() if (text := _of(plan, task))]
    of_leaves = [text for part in plan.parts or (plan,) for text in (*_idle(part), *_too_short(part))]
    return list(dict.fromkeys([*of_tasks, *of_leaves]))


def _too_short(plan: Plan) -> Iterator[str]:
    """The exact curves that scores of fuzzy duplicates are read off and that lack 1 copy, or a larger number."""
    scored = [leaf for leaf in plan.leaves if plan.tasks[leaf.digest].stage == SCORES]
    curves: dict[str, set[int]] = {}
    for leaf in scored:
        if leaf.labels.get("kind") == EXACT:
            curves.setdefault(leaf.setting(), set()).add(leaf.labels["level"])
    read = [leaf.setting() for leaf in scored if leaf.labels.get("kind") != EXACT]
    for setting in dict.fromkeys(setting if setting in curves else "" for setting in read):
        copies = sorted(curves.get(setting, ()))
        if 1 not in copies or copies[-1] == 1:
            name = f"{plan.name}, {setting}" if setting else plan.name
            found = ", ".join(map(str, copies)) or "none"
            yield f"{name}: exact copies are {found}: without 1 and a larger number there are AUCs, but no ρ"


def _idle(plan: Plan) -> Iterator[str]:
    """Settings whose results are the very tasks of the default one: of a misspelt name, or the default's own value.

    A sweep as it is shipped has such settings on purpose.
    """
    if not plan.settings:
        return
    default = {_point(leaf): leaf.digest for leaf in plan.leaves if not leaf.setting()}
    same: dict[str, bool] = {}
    for leaf in plan.leaves:
        if name := leaf.setting():
            same[name] = same.get(name, True) and default.get(_point(leaf)) == leaf.digest
    for name in [name for name, idle in same.items() if idle]:
        yield f"{plan.name}: {name} changes nothing in profile {plan.profile}: its results are those of the default"


def _point(leaf: Leaf) -> tuple[Any, ...]:
    return tuple(leaf.labels.get(name) for name in POINT)


def _of(plan: Plan, task: Task) -> str:
    """What the stage's own `foreseen(config, inputs)` says; inputs: of each single one, its configuration."""
    declared = stage.load(task.stage)
    if not hasattr(declared.module, "foreseen"):
        return ""
    inputs: dict[str, Any] = {
        name: plan.tasks[given].config for name, given in task.inputs.items() if isinstance(given, str)
    }
    return declared.module.foreseen(config.build(declared.config_class, task.config, f"node {task.node}"), inputs)
