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
from lib.running.durations import Seen, Source
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
    found = durations.measured(sweep.root, {task.stage for task in todo})
    settings = durations.settings_of(sweep.plan.tasks)
    known = {task.digest: durations.expected(task, settings(task), found.get(task.stage, ())) for task in todo}
    sources = _sources(todo, {digest: source for digest, (_, source) in known.items()})
    if not any(source.known for source in sources):
        return [f"time on this machine: not known; no stage of it has run here yet with these settings{_seen(found)}"]
    seconds = {digest: START_SECONDS + one for digest, (one, _) in known.items()}
    wall, chain = schedule.makespan(sweep.plan, seconds, room), schedule.longest_chain(sweep.plan, seconds)
    return [
        f"time on this machine: {_amount(wall, sources)} with {room.cores} cores, and with any number of them at "
        f"least {progress.spelled(chain)}; {_known_from(sources)}{_seen(found)}"
    ]


def _sources(todo: Sequence[Task], sources: Mapping[str, Source]) -> dict[Source, list[str]]:
    """From what durations are known -> the stages of tasks whose duration is."""
    found: dict[Source, list[str]] = {}
    for source, stage in dict.fromkeys((sources[task.digest], task.stage) for task in todo):
        found.setdefault(source, []).append(stage)
    return found


def _amount(wall: float, sources: Mapping[Source, list[str]]) -> str:
    """The time in words: of some stages more than what is known of the rest."""
    missing = dict.fromkeys(stage for source, stages in sources.items() if not source.known for stage in stages)
    if not missing:
        return f"about {progress.spelled(wall)}"
    return f"more than {progress.spelled(wall)}, without {', '.join(missing)} whose duration is not known yet,"


def _known_from(sources: Mapping[Source, list[str]]) -> str:
    """Which stages were measured here, and which were not."""
    if len(sources) == 1:
        return f"all durations are {next(iter(sources)).words}"
    return "; ".join(f"{source.words}: {', '.join(stages)}" for source, stages in sources.items())


def _seen(found: Mapping[str, Sequence[Seen]]) -> str:
    count = sum(map(len, found.values()))
    return f" ({counted(count, 'task')} of these stages measured)" if count else ""


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
