"""When weights may be dropped: once every task that reads them is done, in whatever sweep it was submitted.

The runner looks after each task whether it was the last reader. The collection of a sweep looks again, since two last
readers on two nodes may not see each other's results at once, and a runner may be killed before it looks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lib.artifacts import store, weights
from lib.plans import finished
from lib.plans.finished import directory
from lib.plans.plan import Plan, Task
from lib.running import submissions


@dataclass
class _Uses:
    """Who reads the result of a task: digest -> sweep and task. kept: sweep -> whether it keeps the weights."""

    readers: dict[str, tuple[str, Task]] = field(default_factory=dict)
    kept: dict[str, bool] = field(default_factory=dict)


@dataclass
class Outcome:
    """What was dropped: tasks and bytes. needed_by: the sweeps for which weights had to stay."""

    tasks: int = 0
    bytes: int = 0
    needed_by: set[str] = field(default_factory=set)


def after(root: Path, tasks: Mapping[str, Task], done: Task) -> Outcome:
    """Drop the weights that the task `done` was the last to read."""
    read = [tasks[digest] for digest in done.needs() if not tasks[digest].keeps_weights]
    return _drop(root, read, _submitted(root, read)) if read else Outcome()


def of_plan(root: Path, plan: Plan) -> Outcome:
    """Drop all weights of a plan that nobody needs any more, and end drops that were killed."""
    droppable = [plan.tasks[digest] for digest in sorted(plan.droppable())]
    if not droppable:
        return Outcome()
    uses, readers = _submitted(root, droppable), plan.readers()
    for digest, use in uses.items():
        use.kept[plan.run] = False
        use.readers |= {reader: (plan.run, plan.tasks[reader]) for reader in readers[digest]}
    return _drop(root, droppable, uses)


def unneeded(root: Path, task: Task) -> bool:
    """Whether the weights of the task were dropped and no submitted task that reads them is left to do."""
    if not store.is_dropped(directory(root, task), task.digest):
        return False
    uses = _submitted(root, [task])[task.digest]
    return bool(uses.readers) and not _needed_by(root, task, uses)


def _drop(root: Path, tasks: Iterable[Task], uses: Mapping[str, _Uses]) -> Outcome:
    outcome = Outcome()
    for task in tasks:
        readers, needed_by = uses[task.digest].readers, _needed_by(root, task, uses[task.digest])
        outcome.needed_by |= needed_by
        if readers and not needed_by:
            freed = weights.drop(directory(root, task), task.digest, f"the last of {len(readers)} tasks that read them")
            outcome.tasks += freed > 0
            outcome.bytes += freed
    return outcome


def _needed_by(root: Path, read: Task, uses: _Uses) -> set[str]:
    """The sweeps that keep the weights of the task `read`, or have a task that reads them and is not done."""
    kept = {sweep for sweep, keeps in uses.kept.items() if keeps}
    return kept | {sweep for sweep, task in uses.readers.values() if not _is_done(root, task, read)}


def _is_done(root: Path, task: Task, read: Task) -> bool:
    return finished.missing_reason(root, {read.digest: read}, task) in ("", store.WEIGHTS_DROPPED)


def _submitted(root: Path, tasks: Iterable[Task]) -> dict[str, _Uses]:
    """The uses of each task by all submissions of all sweeps. Whether a sweep keeps weights, its latest one says."""
    found = {task.digest: _Uses() for task in tasks}
    for file in submissions.files(root):
        content = file.read_bytes()
        if any(digest.encode() in content for digest in found):
            _note(found, file.parent.parent.name, submissions.read(file).tasks)
    return found


def _note(found: dict[str, _Uses], sweep: str, known: Mapping[str, Task]) -> None:
    """Add what one submission says of the tasks in `found`."""
    for digest in found.keys() & known.keys():
        found[digest].kept[sweep] = known[digest].keeps_weights
    for task in known.values():
        for digest in found.keys() & set(task.needs()):
            found[digest].readers[task.digest] = (sweep, task)
