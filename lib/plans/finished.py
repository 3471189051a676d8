"""Which tasks of a plan are done: those whose artifacts on disk are complete, and made from what lies there now."""

from collections.abc import Collection, Mapping
from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.plans.plan import Plan, Task


def directory(root: Path, task: Task) -> Path:
    """The directory of a task's artifact."""
    return places.artifact(root, task.stage, task.label, task.digest)


def missing_reason(root: Path, tasks: Mapping[str, Task], task: Task) -> str:
    """Why a task is not done; empty if it is done. tasks: those whose results it reads among them."""
    record = store.look(directory(root, task))
    if isinstance(record, str):
        return record
    read = (tasks[digest] for digest in task.needs() if digest in tasks)
    found = {one.digest: store.contents_of(directory(root, one)) for one in read}
    known = {digest: contents for digest, contents in found.items() if contents}
    return store.reason(directory(root, task), record, task.digest, known)


def is_done(root: Path, tasks: Mapping[str, Task], task: Task) -> bool:
    """Whether a task is done; see `missing_reason`."""
    return not missing_reason(root, tasks, task)


def _missing_reasons(root: Path, plan: Plan) -> dict[str, str]:
    """`missing_reason` of every task of a plan."""
    records = {digest: store.look(directory(root, task)) for digest, task in plan.tasks.items()}
    known = {digest: store.contents(record) for digest, record in records.items() if isinstance(record, dict)}
    return {
        digest: record if isinstance(record, str) else store.reason(directory(root, task), record, digest, known)
        for (digest, task), record in zip(plan.tasks.items(), records.values())
    }


def done(root: Path, plan: Plan) -> set[str]:
    """The digests of the tasks that are done.

    Where weights were dropped, the task is done as long as every task of the plan that reads them is.
    """
    reasons = _missing_reasons(root, plan)
    found = {digest for digest, reason in reasons.items() if not reason}
    readers = plan.readers()
    for digest in reversed(plan.tasks):  # readers come after what they read
        if reasons[digest] == store.WEIGHTS_DROPPED and readers[digest] and found >= readers[digest]:
            found.add(digest)
    return found


def spoilt(root: Path, plan: Plan, finished: Collection[str]) -> list[str]:
    """A line for each task that was done and has to be made again, because something was damaged, lost or changed.

    finished: the tasks that are done, of which none is asked again.
    """
    left = [task for digest, task in plan.tasks.items() if digest not in finished]
    reasons = [missing_reason(root, plan.tasks, task) for task in left]
    unsaid = ("", store.NOT_THERE, store.WEIGHTS_DROPPED)
    return [spelled(task, reason) for task, reason in zip(left, reasons) if reason not in unsaid]


def spelled(task: Task, reason: str) -> str:
    """A line that says why a task that was done has to run again."""
    return f"to be made again: {task.stage} {task.label} {task.digest}: {reason}"


def again(root: Path, plan: Plan, finished: set[str]) -> list[str]:
    """The tasks that were done and must run again, because something needs the weights that were dropped."""
    left = {digest: task for digest, task in plan.tasks.items() if digest not in finished}
    return [digest for digest, task in left.items() if store.is_dropped(directory(root, task), digest)]
