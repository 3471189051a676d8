"""The loop that runs a sweep on this machine, without SLURM.

It starts a runner for each task as cores, memory and GPUs become free, and shows progress. Nothing that it starts lives
on after it.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lib.artifacts import attempts, code_version, store
from lib.base import files, interrupts, lease, places, processes, progress
from lib.base.gpus import VISIBLE
from lib.plans import finished, schedule
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.plans.schedule import Room
from lib.running import ending, environment, gpus, snapshot, submissions, survey, warm_process
from lib.running.site import LoginNode
from lib.running.submissions import Submit
from lib.running.survey import DONE, WAITING, Survey

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0  # between two looks at how far tasks are
INTERRUPT_SECONDS = 10.0  # for the runners to end their stages and write why


@dataclass
class _Run:
    """The state of the loop: what is running, what is done, what has failed for good.

    gpus: those that tasks may use; held: digest -> those of a running task
    """

    root: Path
    plan: Plan
    file: Path
    submit: Submit
    found: Survey
    cores: int
    memory_gb: float
    max_failures: int
    environment: dict[str, str]
    gpus: tuple[str, ...] = ()
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    failed_for_good: dict[str, str] = field(default_factory=dict)


def run(
    root: Path, plan: Plan, campaign: str, command: list[str], max_failures: int, console: Console,
    room: LoginNode | None = None,
) -> dict[str, str]:  # fmt: skip
    """Run every task that is not done. Returns digest -> error for the tasks that failed `max_failures` times.

    room: how much of the machine they may use; without it all that is free.
    An interrupt ends the running tasks. What is done stays done, and the same command continues from there.
    Raises UsageError before anything runs if a task asks for more GPUs than there are.
    """
    lock = places.lock(root, plan.run)
    with lease.hold(lock), ending.all_of(lock):
        found = survey.local(root, plan)
        found.states.update({digest: WAITING for digest, state in found.states.items() if state != DONE})
        if found.all_done():
            return {}
        gpus.check(plan.tasks[digest] for digest in found.having(WAITING))
        cards = gpus.of(plan.tasks.values())  # one that is done now may have to be made again
        file, submit = _freeze(root, plan, campaign, command)
        variables = environment.of_runner(submit.snapshot, processes.identity(), lock)
        room = room or LoginNode(cores(), available_gb())
        state = _Run(root, plan, file, submit, found, room.cpus, room.memory_gb, max_failures, variables, cards)
        with _warm(state) as address:
            state.environment |= address
            _loop(state, console)
        return state.failed_for_good


def _warm(state: _Run) -> contextlib.AbstractContextManager[dict[str, str]]:
    """A warm process, if any task that is left to do imports torch. Its variable for runners."""
    stages = {state.plan.tasks[digest].stage for digest in state.found.having(WAITING)}
    if not any(map(warm_process.imports_torch, stages)):
        return contextlib.nullcontext({})
    variables = environment.of_stage(state.submit, Resources(), state.environment)
    return warm_process.server(state.file.with_suffix(""), variables, state.submit.snapshot)


def _freeze(root: Path, plan: Plan, campaign: str, command: list[str]) -> tuple[Path, Submit]:
    """The submit file of this run, and its content."""
    identity = submissions.new_id()
    place = str(snapshot.take(root))
    submit = Submit(
        identity, time.time(), campaign, str(root), place, command, [], plan.tasks, commit=code_version.commit()
    )
    return submissions.write(root, plan.run, submit), submit


def _loop(state: _Run, console: Console) -> None:
    with _bars(state, console) as update, _interruptible(state):
        while True:
            for task in list(_startable(state)):
                state.held[task.digest] = _free(state)[: task.resources.gpus]
                state.running[task.digest] = _start(state, task)
            update()
            if not state.running:
                return
            time.sleep(POLL_SECONDS)
            for digest in [digest for digest, runner in state.running.items() if runner.poll() is not None]:
                _tidy(state, digest)
                _finish(state, digest, console)


def _start(state: _Run, task: Task) -> subprocess.Popen:
    """Start a runner, in a session of its own: the terminal's signals reach the launcher alone, which ends the rest."""
    log = places.runner_log(state.file, task.digest)
    log.parent.mkdir(exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "lib.running.runner", str(state.file), task.digest],
            cwd=state.submit.snapshot,
            env={**state.environment, VISIBLE: ",".join(state.held[task.digest])},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _free(state: _Run) -> tuple[str, ...]:
    """The GPUs that no running task holds."""
    taken = {name for names in state.held.values() for name in names}
    return tuple(name for name in state.gpus if name not in taken)


def _tidy(state: _Run, digest: str) -> None:
    """Do what a runner that was killed could not: end what it has started, and complete its record."""
    runner = state.running[digest]
    if runner.returncode == 0:
        return
    with interrupts.delayed():
        processes.end_marked(processes.RUNNER, lambda mark: mark.startswith(f"{runner.pid}-"))
        _close(state, digest, f"its runner {processes.exit_reason(runner.returncode)}", attempts.FAILED)


def _close(state: _Run, digest: str, error: str, outcome: str) -> None:
    """Complete the record of our attempt at a task, if it could not do so itself."""
    directory = finished.directory(state.root, state.plan.tasks[digest])
    attempts.close_running(directory, error, outcome, state.submit.campaign)


def _startable(state: _Run) -> Iterator[Task]:
    """The ready tasks for which there is room now."""
    ready = (
        task
        for task in survey.ready(state.plan, state.found)
        if task.digest not in state.running and task.digest not in state.failed_for_good
    )
    running = [state.plan.tasks[digest].resources for digest in state.running]
    yield from schedule.startable(state.plan, ready, running, Room(state.cores, state.memory_gb, len(state.gpus)))


def _finish(state: _Run, digest: str, console: Console) -> None:
    task = state.plan.tasks[digest]
    del state.running[digest], state.held[digest]
    if finished.is_done(state.root, state.plan.tasks, task):
        state.found.states[digest] = DONE
        readers = [reader for reader, other in state.plan.tasks.items() if digest in other.needs()]
        _wait_again(state, readers, but=store.WEIGHTS_DROPPED)  # they may have been made from other bytes
        return
    count, error, log = _failure(state, task)
    lost = _wait_again(state, task.needs())
    if lost or (count < state.max_failures and attempts.waits(finished.directory(state.root, task))):
        for line in (f"set back {task.stage} {task.label} {digest}: {error}", *lost):
            console.print(line, highlight=False, markup=False)
        return
    console.print(
        f"[red]failed[/] {task.stage} {task.label} {digest}: {escape(error)}\n       log: {log}", highlight=False
    )
    if count >= state.max_failures:
        state.failed_for_good[digest] = error


def _failure(state: _Run, task: Task) -> tuple[int, str, Path | None]:
    """How often the task has failed, the error, and the log; what the runner said, if there is no failed attempt."""
    count, error = survey.failures(state.root, task, state.submit.campaign)
    if error:
        return count, error, survey.last_error(state.root, task)[1]
    if attempts.waits(finished.directory(state.root, task)):
        return 0, "done, but something that it reads was made again meanwhile", None
    log = places.runner_log(state.file, task.digest)
    return state.max_failures, f"its runner ended: {files.last_line(log) or 'without a message'}", log


def _wait_again(state: _Run, digests: Iterable[str], but: str = "") -> list[str]:
    """Let those wait that were done and have to be made again, unless `but` is the reason: their weights were dropped,
    files were damaged, or inputs made again with other bytes. Returns a line for each."""
    lost = []
    for task in (state.plan.tasks[digest] for digest in digests if state.found.states[digest] == DONE):
        reason = finished.missing_reason(state.root, state.plan.tasks, task)
        if reason not in ("", but):
            state.found.states[task.digest] = WAITING
            lost.append(finished.spelled(task, reason))
    return lost


@contextlib.contextmanager
def _interruptible(state: _Run) -> Iterator[None]:
    """End the running tasks if the block is interrupted or fails. Their attempts count as interrupted."""
    try:
        yield
    except BaseException:
        with interrupts.delayed():
            for runner in state.running.values():
                runner.terminate()
            _await(state.running.values(), INTERRUPT_SECONDS)
            ending.end_all(places.lock(state.root, state.plan.run))
            for digest in state.running:
                _close(state, digest, "its launcher was interrupted", attempts.INTERRUPTED)
        raise


def _await(running: Iterable[subprocess.Popen], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for runner in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def _bars(state: _Run, console: Console) -> Iterator[Any]:
    """A progress bar for each stage. Without a terminal, a line whenever a task of a stage is done."""
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[now]}"),
    )
    bars: dict[str, Any] = {}
    shown: dict[str, int] = {}
    working = _Working(state)
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown_bars:

        def update() -> None:
            for stage, counts in survey.count_by_stage(state.plan, state.found.states).items():
                now = working.labels(stage) if console.is_terminal else ""
                if stage not in bars:
                    bars[stage] = shown_bars.add_task(stage, total=sum(counts.values()), now=now)
                shown_bars.update(bars[stage], completed=counts[DONE], now=now)
                if not console.is_terminal and shown.get(stage, 0) != counts[DONE]:
                    shown[stage] = counts[DONE]
                    console.print(f"{time.strftime('%H:%M:%S')} {stage}: {counts[DONE]} of {sum(counts.values())} done")

        yield update


class _Working:
    """What runs now, and how far it is."""

    def __init__(self, state: _Run) -> None:
        self.state = state
        self.reports: dict[str, str] = {}
        self.due = 0.0

    def labels(self, stage: str) -> str:
        """The running tasks of a stage: `s1 30 %, 2 min left; s2`. Their files are read once a second."""
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + LOOK_SECONDS
            self.reports = {digest: self._far(self.state.plan.tasks[digest]) for digest in self.state.running}
        tasks = [self.state.plan.tasks[digest] for digest in self.state.running]
        own = [task for task in tasks if task.stage == stage]
        names = apart(own)
        return "; ".join(f"{names[task.digest]} {self.reports.get(task.digest, '')}".rstrip() for task in own)

    def _far(self, task: Task) -> str:
        report = progress.read(finished.directory(self.state.root, task))
        return report.short() if report else ""


def apart(tasks: list[Task]) -> dict[str, str]:
    """Digest -> a short name of each task. Labels that are the same get what differs in the configurations, or else the
    beginning of the digest."""
    labels = {task.digest: task.label or task.node for task in tasks}
    found = {}
    for task in tasks:
        alike = [other.config for other in tasks if labels[other.digest] == labels[task.digest] and other is not task]
        own = [f"{key} {value}" for key, value in task.config.items() if any(one.get(key) != value for one in alike)]
        found[task.digest] = " ".join([labels[task.digest], *(own or [task.digest[:6]] if alike else [])])
    return found


def available_gb() -> float:
    """The memory available now, in GB, by the Linux kernel; on other systems all memory."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text(encoding="utf-8").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024 / 1e9
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
