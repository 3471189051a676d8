"""How long tasks took: on this machine before, from which a plan says how long they will take; and in one run.

Everything is read from the records of attempts, and from submit files, which hold what was expected of a task.
"""

import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lib.artifacts import attempts
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.running import submissions

LEAST_EXPECTED = 1.0  # seconds of a task that says something of larger ones: below that its start is all of it


@dataclass(frozen=True)
class Measured:
    """What tasks of a stage took on this machine: how many were measured, their median seconds, and the median ratio
    to what was expected of them; None if nothing was, or too little."""

    tasks: int
    seconds: float
    ratio: float | None

    def of(self, task: Task) -> float:
        """The seconds that a task of this stage will take."""
        expected = 3600 * task.resources.expected_hours
        return max(self.seconds, expected) if self.ratio is None or not expected else self.ratio * expected


def measured(root: Path, stages: Collection[str]) -> dict[str, Measured]:
    """Stage -> what its tasks took here, over all sweeps of these outputs. Tasks that were interrupted are left out."""
    tasks = {task.digest: task for _, submit in submissions.all_of(root, damaged=[]) for task in submit.tasks.values()}
    found: dict[str, list[tuple[float, float]]] = {}
    for task in (task for task in tasks.values() if task.stage in stages):
        records = attempts.read(finished.directory(root, task))
        if len(records) == 1 and _ended_here(records[0]):
            expected = 3600 * task.resources.expected_hours
            found.setdefault(task.stage, []).append((records[0]["seconds"], expected))
    return {stage: _summed_up(pairs) for stage, pairs in found.items()}


def _ended_here(record: Mapping[str, Any]) -> bool:
    done = record["outcome"] == attempts.DONE and isinstance(record.get("seconds"), float | int)
    return done and record.get("host") == socket.gethostname()


def _summed_up(pairs: Iterable[tuple[float, float]]) -> Measured:
    pairs = list(pairs)
    ratios = [seconds / expected for seconds, expected in pairs if expected >= LEAST_EXPECTED]
    return Measured(len(pairs), median(seconds for seconds, _ in pairs), median(ratios) if ratios else None)


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
