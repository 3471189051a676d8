"""When the tasks of a plan start on one machine: the rule of the local loop, and how long it makes a run."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources

DEFAULT_MEMORY_GB = 1.0  # for a task without memory_gb


@dataclass(frozen=True)
class Room:
    """What a machine has for tasks."""

    cores: int
    memory_gb: float
    gpus: int = 0


def startable(plan: Plan, ready: Iterable[Task], running: Collection[Resources], room: Room) -> Iterator[Task]:
    """Those of the ready tasks for which cores, memory and GPUs are free.

    First those after which weights can be dropped, then the longest, so that no long task is left to the end.

    A task that needs more than the machine has runs alone.
    """
    busy = sum(resources.cores for resources in running)
    memory = sum(map(memory_gb, running))
    gpus = sum(resources.gpus for resources in running)
    for task in sorted(ready, key=lambda task: _precedence(plan, task)):
        asked, needed = task.resources, memory_gb(task.resources)
        fits = busy + asked.cores <= room.cores and memory + needed <= room.memory_gb
        if busy and not (fits and gpus + asked.gpus <= room.gpus):
            continue
        busy, memory, gpus = busy + asked.cores, memory + needed, gpus + asked.gpus
        yield task


def _precedence(plan: Plan, task: Task) -> tuple[bool, float]:
    frees_disk = any(not plan.tasks[digest].keeps_weights for digest in task.needs())
    return not frees_disk, -task.resources.expected_hours


def memory_gb(resources: Resources) -> float:
    """The memory that a task needs, all its ranks together."""
    return (resources.memory_gb or DEFAULT_MEMORY_GB) * (resources.ranks if resources.mpi else 1)


def makespan(plan: Plan, seconds: Mapping[str, float], room: Room) -> float:
    """Seconds from the start of the first task to the end of the last one. seconds: digest -> duration, of those that
    are left to do; all others are done."""
    lacking = {digest: seconds.keys() & plan.tasks[digest].needs() for digest in seconds}
    ready = {digest for digest, needs in lacking.items() if not needs}
    readers = plan.readers()
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        busy = [plan.tasks[digest].resources for _, digest in running]
        for task in list(startable(plan, (plan.tasks[digest] for digest in seconds if digest in ready), busy, room)):
            ready.remove(task.digest)
            heapq.heappush(running, (now + seconds[task.digest], task.digest))
        now, ended = heapq.heappop(running)
        for reader in readers[ended] & lacking.keys():
            lacking[reader].discard(ended)
            if not lacking[reader]:
                ready.add(reader)
    return now


def longest_chain(plan: Plan, seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of tasks that wait for each other (the critical path): no number of cores is faster.

    seconds: as in `makespan`.
    """
    ends: dict[str, float] = {}
    for digest in plan.tasks:  # inputs come before what reads them
        if digest in seconds:
            before = (ends.get(needed, 0.0) for needed in plan.tasks[digest].needs())
            ends[digest] = max(before, default=0.0) + seconds[digest]
    return max(ends.values(), default=0.0)
