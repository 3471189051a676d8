"""What is said of time: how long a sweep will take on this machine, how far its tasks are, and what took how long."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lib.base import progress
from lib.base.errors import counted
from lib.launcher.sweep import Sweep
from lib.plans import finished, schedule
from lib.plans.plan import Plan, Task
from lib.plans.schedule import Room
from lib.running import durations, gpus, local
from lib.running.durations import Measured
from lib.running.survey import RUNNING, Survey

START_SECONDS = 0.65  # of a task, which its record does not count: measured over 162 tasks of near_dupls (laptop)
SHOWN = 10  # running tasks


def expected(sweep: Sweep, done: Collection[str], room: Room | None = None) -> list[str]:
    """How long the tasks to do will take on this machine, and from what that is known; nothing on a cluster.

    room: what they may use of the machine, by default all that is free.
    """
    todo = [task for digest, task in sweep.plan.tasks.items() if digest not in done]
    if sweep.site or not todo:
        return []
    room = room or Room(local.cores(), local.available_gb(), len(gpus.of(todo)))
    known = durations.measured(sweep.root, {task.stage for task in todo})
    if not known and not any(task.resources.expected_hours for task in todo):
        return ["time on this machine: not known; no stage of it has run here yet"]
    seconds = {task.digest: START_SECONDS + _seconds(task, known) for task in todo}
    count = sum(one.tasks for one in known.values())
    measured = f" ({counted(count, 'task')} measured)" if count else ""
    wall, chain = schedule.makespan(sweep.plan, seconds, room), schedule.longest_chain(sweep.plan, seconds)
    return [
        f"time on this machine: about {progress.spelled(wall)} with {room.cores} cores, and with any number of them at "
        f"least {progress.spelled(chain)}; {_known_from(todo, known)}{measured}"
    ]


def _seconds(task: Task, known: Mapping[str, Measured]) -> float:
    return known[task.stage].of(task) if task.stage in known else 3600 * task.resources.expected_hours


def _known_from(todo: Sequence[Task], known: Collection[str]) -> str:
    """Which stages were measured here, and which were not."""
    stated = {task.stage for task in todo if task.resources.expected_hours}
    found: dict[str, list[str]] = {}
    for stage in dict.fromkeys(task.stage for task in todo):
        source = (
            "measured here" if stage in known else "computed" if stage in stated else "not known, taken for nothing"
        )
        found.setdefault(source, []).append(stage)
    if len(found) == 1:
        return f"all durations are {next(iter(found))}"
    return "; ".join(f"{source}: {', '.join(stages)}" for source, stages in found.items())


def running(root: Path, plan: Plan, found: Survey) -> list[str]:
    """A line for each task that runs and says how far it is."""
    tasks = [plan.tasks[digest] for digest in found.having(RUNNING)]
    reports = [(task, report) for task in tasks if (report := progress.read(finished.directory(root, task)))]
    lines = [f"{task.stage} {task.label or task.node}: {report.words()}" for task, report in reports[:SHOWN]]
    return lines + ([f"... and {len(reports) - SHOWN} more"] if len(reports) > SHOWN else [])


def took(root: Path, plan: Plan, campaign: str) -> list[str]:
    """What a command, its controllers included, has done, and how long each stage took; nothing if it ran no task."""
    run = durations.of_campaign(root, plan, campaign)
    if run is None:
        return []
    by_hours = sorted(run.stages, key=lambda one: -one.core_hours)
    parts = [f"{one.stage} {progress.spelled(3600 * one.core_hours)} ({one.tasks})" for one in by_hours]
    total = progress.spelled(3600 * sum(one.core_hours for one in run.stages))
    tasks = sum(one.tasks for one in run.stages)
    return [f"{counted(tasks, 'task')} took {progress.spelled(run.seconds)}, and {total} of cores: {', '.join(parts)}"]
