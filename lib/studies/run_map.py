"""The map of a run: its stages in their order, what each one reads, and what its tasks took, from their attempts."""

from collections.abc import Sequence
from typing import Any

from lib.artifacts import attempts
from lib.plans.plan import Plan, Task
from lib.reporting.cells import TextTable
from lib.studies.identity import Records

HEADER = ["stage", "reads", "tasks", "run", "all together, s", "longest, s", "most memory, MB"]


def make(plan: Plan, records: Records) -> TextTable:
    """A row for each stage: the stages that it reads, its tasks, how many have run to their end, seconds of all their
    attempts and of the longest task, peak memory of the largest. Waiting in a queue is not counted."""
    stages: dict[str, list[Task]] = {}
    for task in plan.tasks.values():
        stages.setdefault(task.stage, []).append(task)
    return HEADER, [[stage, *_row(plan, tasks, records)] for stage, tasks in stages.items()]


def _row(plan: Plan, tasks: Sequence[Task], records: Records) -> list[str]:
    read = dict.fromkeys(plan.tasks[digest].stage for task in tasks for digest in task.needs() if digest in plan.tasks)
    tried = [records[task.digest] for task in tasks]
    ran = [each for each in tried if each and each[-1]["outcome"] == attempts.DONE]
    seconds = [sum(record.get("seconds", 0) for record in each) for each in tried]
    memory = max((record.get("peak_memory_mb", 0) for each in tried for record in each), default=0)
    return [", ".join(read), str(len(tasks)), str(len(ran)), *map(_whole, (sum(seconds), max(seconds), memory))]


def _whole(value: Any) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
