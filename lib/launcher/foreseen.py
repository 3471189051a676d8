"""What is said of a plan before it runs, from configurations and local files alone: by stages of their tasks, and of
settings that change nothing."""

from collections.abc import Iterator
from typing import Any

from lib.artifacts import stage
from lib.base import config
from lib.plans.plan import POINT, Leaf, Plan, Task


def texts(plan: Plan) -> list[str]:
    """A sentence for every task that cannot give what is asked of it, and for every idle setting, each once."""
    of_tasks = [text for task in plan.tasks.values() if (text := _of(plan, task))]
    of_settings = [text for part in plan.parts or (plan,) for text in _idle(part)]
    return list(dict.fromkeys([*of_tasks, *of_settings]))


def _idle(plan: Plan) -> Iterator[str]:
    """Settings whose results are the very tasks of the default one: of a misspelt name, or the default's own value."""
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
