"""What a sweep needs from the hub: checked, pinned and downloaded into the cache before anything is queued."""

from pathlib import Path

from rich.console import Console

from lib.artifacts import stage
from lib.base import config
from lib.models.hub import HubItem, check_access, fetch, pin
from lib.plans.plan import Plan


def items(plan: Plan) -> list[HubItem]:
    """The hub models and data sets that a plan needs, each once."""
    found: dict[HubItem, None] = {}
    for task in plan.tasks.values():
        declared = stage.load(task.stage)
        if hasattr(declared.module, "hub"):
            values = config.build(declared.config_class, task.config, f"node {task.node}")
            found.update(dict.fromkeys(declared.module.hub(values)))
    return list(found)


def run(plan: Plan, lock: Path, console: Console) -> bool:
    """Download everything. Returns whether branches were pinned to commits, so that the plan must be made again.

    Before the first download it raises TesseraError naming every repository that cannot be read.
    """
    needed = items(plan)
    if not needed:
        return False
    check_access(needed)
    pinned = pin(needed, lock)
    for item in pinned:
        console.print(f"fetch {item}", highlight=False)
        fetch([item])
    return pinned != needed
