"""What stages say of their tasks when a sweep is planned, from configurations and local files alone."""

from typing import Any

from lib.artifacts import stage
from lib.base import config
from lib.plans.plan import Plan, Task


def texts(plan: Plan) -> list[str]:
    """A sentence for every task that cannot give what is asked of it, each once."""
    return list(dict.fromkeys(text for task in plan.tasks.values() if (text := _of(plan, task))))


def _of(plan: Plan, task: Task) -> str:
    """What the stage's own `foreseen(config, inputs)` says; inputs: of each single one, its configuration."""
    declared = stage.load(task.stage)
    if not hasattr(declared.module, "foreseen"):
        return ""
    inputs: dict[str, Any] = {
        name: plan.tasks[given].config for name, given in task.inputs.items() if isinstance(given, str)
    }
    return declared.module.foreseen(config.build(declared.config_class, task.config, f"node {task.node}"), inputs)
