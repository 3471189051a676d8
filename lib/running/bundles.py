"""Small GPU tasks together in one job: a GPU that is asked for each of them would mostly wait for their start."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from lib.plans.plan import Task
from lib.plans.rates import SAFETY
from lib.plans.resources import Resources


def of(tasks: Iterable[Task], minutes: float, alone: Collection[str] = ()) -> list[list[Task]]:
    """The tasks that each job runs one after the other, jobs in the order of their first tasks.

    Tasks share a job if they ask for the same, for a GPU, and are expected to take at most so many `minutes` in all. A
    job has the time limit of one of them, so SAFETY times what is expected must fit below it.
    alone: digests of tasks that share with no other, such as those that have begun and failed: they may end a job.
    """
    jobs: list[list[Task]] = []
    last: dict[Resources, list[Task]] = {}
    for task in tasks:
        kind, share = asked(task), _may_share(task) and task.digest not in alone
        if share and kind in last and _hours([*last[kind], task]) <= min(minutes / 60, kind.hours / SAFETY):
            last[kind].append(task)
            continue
        jobs.append([task])
        if share:
            last[kind] = jobs[-1]
    return jobs


def asked(task: Task) -> Resources:
    """What a task asks of SLURM."""
    return replace(task.resources, expected_hours=0.0)


def _may_share(task: Task) -> bool:
    return task.resources.gpus > 0 and task.resources.expected_hours > 0 and not task.resources.mpi


def _hours(tasks: Iterable[Task]) -> float:
    return sum(task.resources.expected_hours for task in tasks)
