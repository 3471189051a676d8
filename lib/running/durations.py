"""How long tasks took: on this machine before, from which a plan says how long they will take; and in one run.

Everything is read from the records of attempts, and from submit files, which hold what was expected of a task.
A duration counts for tasks of the same settings. For others it tells, by its ratio to what was expected, how fast this
machine is at tasks of like size; where nothing was expected it tells nothing.
"""

import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from lib.artifacts import attempts
from lib.base import config
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.running import submissions

LEAST_EXPECTED = 1.0  # seconds of a task that says something of others: below that its start is all of it
LIKE_SIZE = 10.0  # expected times that differ by more are not of one size: caches, start, waiting have other shares
NOT_SIZE = ("seed", "part", "chunk")  # keys of a configuration that say which task, not how large


@dataclass(frozen=True)
class Seen:
    """A task that ended on this machine: what tells its settings, the seconds it took, and those expected of it."""

    settings: str
    seconds: float
    expected: float

    def is_like(self, expected: float) -> bool:
        """Whether a task of so many expected seconds is of the same size."""
        known = self.expected >= LEAST_EXPECTED and expected > 0
        return known and 1 / LIKE_SIZE <= self.expected / expected <= LIKE_SIZE


class Source(NamedTuple):
    """From what the duration of a task is known, in words, and whether it is known at all."""

    words: str
    known: bool = True


MEASURED = Source("measured here")
SCALED = Source("computed, and scaled by other settings of the same stage")
STATED = Source("computed")
OTHER = Source("measured with other settings of the same stage alone, taken for nothing", known=False)
UNKNOWN = Source("not known, taken for nothing", known=False)


def expected(task: Task, settings: str, seen: Sequence[Seen]) -> tuple[float, Source]:
    """The seconds that a task will take, and from what they are known; 0.0 if they are not.

    seen: tasks of its stage.
    """
    stated = 3600 * task.resources.expected_hours
    same = [one for one in seen if one.settings == settings]
    for found, source in ((same, MEASURED), (seen, SCALED)):
        if ratios := [one.seconds / one.expected for one in found if one.is_like(stated)]:
            return median(ratios) * stated, source
    if same:
        return median(one.seconds for one in same), MEASURED
    return stated, STATED if stated else OTHER if seen else UNKNOWN


def settings_of(tasks: Mapping[str, Task]) -> Callable[[Task], str]:
    """A function that gives what tells the settings of a task: stage and configuration, of its inputs as well.

    tasks: digest -> task. An input that is not among them stands for itself.
    """
    known: dict[str, str] = {}

    def of_input(digest: str) -> str:
        if digest not in known:
            known[digest] = of(tasks[digest]) if digest in tasks else digest
        return known[digest]

    def of(task: Task) -> str:
        size = {key: value for key, value in task.config.items() if key not in NOT_SIZE}
        given = {
            name: [of_input(one) for one in ([digests] if isinstance(digests, str) else digests)]
            for name, digests in task.inputs.items()
        }
        return config.digest([task.stage, size, given])

    return of


def measured(root: Path, stages: Collection[str]) -> dict[str, list[Seen]]:
    """Stage -> its tasks that ended here, over all sweeps of these outputs, without those that were interrupted."""
    tasks = {task.digest: task for _, submit in submissions.all_of(root, damaged=[]) for task in submit.tasks.values()}
    settings, found = settings_of(tasks), dict[str, list[Seen]]()
    for task in (task for task in tasks.values() if task.stage in stages):
        records = attempts.read(finished.directory(root, task))
        if len(records) == 1 and _ended_here(records[0]):
            one = Seen(settings(task), records[0]["seconds"], 3600 * task.resources.expected_hours)
            found.setdefault(task.stage, []).append(one)
    return found


def _ended_here(record: Mapping[str, Any]) -> bool:
    done = record["outcome"] == attempts.DONE and isinstance(record.get("seconds"), float | int)
    return done and record.get("host") == socket.gethostname()


@dataclass(frozen=True)
class Took:
    """What the tasks of a stage took in one run: how many ended, and their hours times the cores that they held."""

    stage: str
    tasks: int
    hours: float
    core_hours: float


@dataclass(frozen=True)
class Run:
    """One run: seconds from its first task's start to its last one's end, and its stages in the order of the plan."""

    seconds: float
    stages: tuple[Took, ...]


def of_campaign(root: Path, plan: Plan, campaign: str) -> Run | None:
    """What a command and its controllers have done for this plan; None if they have not ended a task."""
    ended = [
        (task, record)
        for task in plan.tasks.values()
        for record in attempts.read(finished.directory(root, task))
        if record.get("campaign") == campaign and "seconds" in record
    ]
    if not ended:
        return None
    start = min(record["started"] for _, record in ended)
    seconds = max(record["started"] + record["seconds"] for _, record in ended) - start
    stages = dict.fromkeys(task.stage for task, _ in ended)
    return Run(seconds, tuple(_took(stage, ended) for stage in stages))


def _took(stage: str, ended: Iterable[tuple[Task, Mapping[str, Any]]]) -> Took:
    own = [(task, record["seconds"] / 3600) for task, record in ended if task.stage == stage]
    digests = {task.digest for task, _ in own}
    return Took(
        stage, len(digests), sum(hours for _, hours in own), sum(hours * task.resources.cores for task, hours in own)
    )
