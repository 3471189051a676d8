"""Which tasks of a plan are done: those whose artifacts on disk are complete."""

from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.plans.plan import Plan, Task


def directory(root: Path, task: Task) -> Path:
    """The directory of a task's artifact."""
    return places.artifact(root, task.stage, task.label, task.digest)


def done(root: Path, plan: Plan) -> set[str]:
    """The digests of the tasks that are done."""
    return {digest for digest, task in plan.tasks.items() if store.is_done(directory(root, task), digest)}
