"""Which tasks of a plan are done: those whose artifacts on disk are complete."""

from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.plans.plan import Plan, Task


def directory(root: Path, task: Task) -> Path:
    """The directory of a task's artifact."""
    return places.artifact(root, task.stage, task.label, task.digest)


def done(root: Path, plan: Plan) -> set[str]:
    """The digests of the tasks that are done.

    Where weights were dropped, the task is done as long as every task of the plan that reads them is.
    """
    reasons = {digest: store.missing_reason(directory(root, task), digest) for digest, task in plan.tasks.items()}
    found = {digest for digest, reason in reasons.items() if not reason}
    readers = plan.readers()
    for digest in reversed(plan.tasks):  # readers come after what they read
        if reasons[digest] == store.WEIGHTS_DROPPED and readers[digest] and found >= readers[digest]:
            found.add(digest)
    return found


def again(root: Path, plan: Plan, finished: set[str]) -> list[str]:
    """The tasks that were done and must run again, because something needs the weights that were dropped."""
    left = {digest: task for digest, task in plan.tasks.items() if digest not in finished}
    return [digest for digest, task in left.items() if store.is_dropped(directory(root, task), digest)]
