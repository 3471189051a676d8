"""Which tasks of a plan are done, by what lies on disk."""

from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.plans.plan import Plan, Task


def directory(root: Path, task: Task) -> Path:
    """Where a task's artifact lies."""
    return places.artifact(root, task.stage, task.label, task.digest)


def done(root: Path, plan: Plan) -> set[str]:
    """The digests whose artifacts are done."""
    return {digest for digest, task in plan.tasks.items() if store.is_done(directory(root, task), digest)}
