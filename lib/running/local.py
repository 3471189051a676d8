"""The loop that runs a sweep on this machine, without SLURM.

It starts tasks through submitit's local executor as cores and memory become free, and shows progress.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import runner, snapshot, submissions, survey, sweep_lock, warm_process
from lib.running.site import LoginNode
from lib.running.submissions import Submit
from lib.running.survey import DONE, WAITING, Survey

POLL_SECONDS = 0.1
DEFAULT_MEMORY_GB = 1.0  # for a task without memory_gb
TIMEOUT_MINUTES = 60 * 24 * 30  # only the user ends a local run


@dataclass
class _Run:
    """The state of the loop: what is running, what is done, what has failed for good."""

    root: Path
    plan: Plan
    file: Path
    submit: Submit
    found: Survey
    cores: int
    memory_gb: float
    max_failures: int
    running: dict[str, Any] = field(default_factory=dict)
    failed_for_good: dict[str, str] = field(default_factory=dict)


def run(
    root: Path, plan: Plan, campaign: str, command: list[str], max_failures: int, console: Console,
    room: LoginNode | None = None,
) -> dict[str, str]:  # fmt: skip
    """Run every task that is not done. Returns digest -> error for the tasks that failed `max_failures` times.

    room: how much of the machine they may use; without it all that is free.
    An interrupt ends the running tasks. What is done stays done, and the same command continues from there.
    """
    with sweep_lock.hold(places.lock(root, plan.name)):
        found = survey.local(root, plan)
        found.states.update({digest: WAITING for digest, state in found.states.items() if state != DONE})
        if found.all_done():
            return {}
        file, submit = _freeze(root, plan, campaign, command)
        room = room or LoginNode(cores(), available_gb())
        state = _Run(root, plan, file, submit, found, room.cpus, room.memory_gb, max_failures)
        with _warm(state):
            _loop(state, console)
        return state.failed_for_good


def _warm(state: _Run) -> contextlib.AbstractContextManager:
    """A warm process, if any task that is left to do imports torch."""
    stages = {state.plan.tasks[digest].stage for digest in state.found.having(WAITING)}
    if not any(map(warm_process.imports_torch, stages)):
        return contextlib.nullcontext()
    environment = runner.environment(state.submit, cpus=1)
    return warm_process.server(state.file.with_suffix(""), environment, state.submit.snapshot)


def _freeze(root: Path, plan: Plan, campaign: str, command: list[str]) -> tuple[Path, Submit]:
    """The submit file of this run, and its content."""
    identity = submissions.new_id()
    submit = Submit(identity, time.time(), campaign, str(root), str(snapshot.take(root)), command, [], plan.tasks)
    return submissions.write(root, plan.name, submit), submit


def _loop(state: _Run, console: Console) -> None:
    executor = _executor(state)
    with _progress(state, console) as progress, _interruptible(state):
        while True:
            for task in list(_startable(state)):
                with _errors_to(state.file.with_suffix(".log")):
                    state.running[task.digest] = executor.submit(runner.run_task, str(state.file), task.digest)
            progress()
            sweep_lock.refresh(places.lock(state.root, state.plan.name))
            if not state.running:
                return
            time.sleep(POLL_SECONDS)
            for digest in [digest for digest, job in state.running.items() if job.done()]:
                _finish(state, digest, console)


def _startable(state: _Run) -> Iterator[Task]:
    """The ready tasks for which cores and memory are free.

    First those after which weights can be dropped, then the longest, so that no long task is left to the end.

    A task that needs more than the machine has runs alone.
    """
    running = [state.plan.tasks[digest].resources for digest in state.running]
    busy = sum(resources.cores for resources in running)
    memory = sum(map(_memory_gb, running))
    for task in sorted(survey.ready(state.plan, state.found), key=lambda task: _precedence(state.plan, task)):
        if task.digest in state.running or task.digest in state.failed_for_good:
            continue
        needed = _memory_gb(task.resources)
        if busy and (busy + task.resources.cores > state.cores or memory + needed > state.memory_gb):
            continue
        busy += task.resources.cores
        memory += needed
        yield task


def _precedence(plan: Plan, task: Task) -> tuple[bool, float]:
    frees_disk = any(not plan.tasks[digest].keeps_weights for digest in task.needs())
    return not frees_disk, -task.resources.expected_hours


def _memory_gb(resources: Resources) -> float:
    return (resources.memory_gb or DEFAULT_MEMORY_GB) * (resources.ranks if resources.mpi else 1)


def _finish(state: _Run, digest: str, console: Console) -> None:
    task = state.plan.tasks[digest]
    del state.running[digest]
    if store.is_done(finished.directory(state.root, task), digest):
        state.found.states[digest] = DONE
        return
    if lost := _dropped(state, task.needs()):
        state.found.states.update(dict.fromkeys(lost, WAITING))
        console.print(f"weights that {task.stage} reads were dropped meanwhile; they are made again", highlight=False)
        return
    count, error = survey.failures(state.root, task, state.submit.campaign)
    log = survey.last_error(state.root, task)[1]
    console.print(
        f"[red]failed[/] {task.stage} {task.label} {digest}: {escape(error)}\n       log: {log}", highlight=False
    )
    if count >= state.max_failures or not error:
        state.failed_for_good[digest] = error or "its runner failed before the stage began"


def _dropped(state: _Run, digests: Iterable[str]) -> list[str]:
    """Those whose weights another sweep dropped since this one was surveyed."""
    tasks = (state.plan.tasks[digest] for digest in digests)
    return [task.digest for task in tasks if store.is_dropped(finished.directory(state.root, task), task.digest)]


def _executor(state: _Run) -> Any:
    import submitit

    os.environ["PYTHONPATH"] = state.submit.snapshot  # submitit's own processes run the snapshot, too
    executor = submitit.LocalExecutor(folder=state.file.with_suffix(""))
    executor.update_parameters(timeout_min=TIMEOUT_MINUTES, stderr_to_stdout=True)
    return executor


@contextlib.contextmanager
def _errors_to(file: Path) -> Iterator[None]:
    """Let processes that start in the block write their errors to `file`.

    An interrupt also reaches submitit's own processes, and their tracebacks do not help the user.
    """
    saved = os.dup(2)
    with open(file, "ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _interruptible(state: _Run) -> Iterator[None]:
    """Cancel the running tasks if the block is interrupted or fails."""
    try:
        yield
    except BaseException:
        for job in state.running.values():
            job.cancel()
        raise


@contextlib.contextmanager
def _progress(state: _Run, console: Console) -> Iterator[Any]:
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
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def update() -> None:
            for stage, counts in survey.count_by_stage(state.plan, state.found.states).items():
                now = ", ".join(_running_labels(state, stage))
                if stage not in bars:
                    bars[stage] = progress.add_task(stage, total=sum(counts.values()), now=now)
                progress.update(bars[stage], completed=counts[DONE], now=now)
                if not console.is_terminal and shown.get(stage, 0) != counts[DONE]:
                    shown[stage] = counts[DONE]
                    console.print(f"{time.strftime('%H:%M:%S')} {stage}: {counts[DONE]} of {sum(counts.values())} done")

        yield update


def _running_labels(state: _Run, stage: str) -> list[str]:
    tasks = [state.plan.tasks[digest] for digest in state.running]
    return [task.label or task.node for task in tasks if task.stage == stage]


def cancel(root: Path, sweep: str) -> str:
    """Interrupt the loop that holds the sweep on this machine. Returns a message that says what was done."""
    found = sweep_lock.holder(places.lock(root, sweep))
    if found is None:
        return "nothing is running"
    if not sweep_lock.alive_here(found):
        raise TesseraError(f"the sweep is held by process {found['pid']} on {found['host']}; cancel it there")
    os.kill(found["pid"], signal.SIGINT)
    return f"interrupted process {found['pid']}"


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
