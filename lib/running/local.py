"""The loop that runs a sweep on this machine, without SLURM.

It starts a runner for each task as cores and memory become free, and shows progress. Nothing that it starts lives on
after it.
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

from lib.artifacts import attempts, store
from lib.base import interrupts, lease, places, processes
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import ending, environment, snapshot, submissions, survey, warm_process
from lib.running.site import LoginNode
from lib.running.submissions import Submit
from lib.running.survey import DONE, WAITING, Survey

POLL_SECONDS = 0.1
DEFAULT_MEMORY_GB = 1.0  # for a task without memory_gb
INTERRUPT_SECONDS = 10.0  # for the runners to end their stages and write why


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
    environment: dict[str, str]
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    failed_for_good: dict[str, str] = field(default_factory=dict)


def run(
    root: Path, plan: Plan, campaign: str, command: list[str], max_failures: int, console: Console,
    room: LoginNode | None = None,
) -> dict[str, str]:  # fmt: skip
    """Run every task that is not done. Returns digest -> error for the tasks that failed `max_failures` times.

    room: how much of the machine they may use; without it all that is free.
    An interrupt ends the running tasks. What is done stays done, and the same command continues from there.
    """
    lock = places.lock(root, plan.name)
    with lease.hold(lock), ending.all_of(lock):
        found = survey.local(root, plan)
        found.states.update({digest: WAITING for digest, state in found.states.items() if state != DONE})
        if found.all_done():
            return {}
        file, submit = _freeze(root, plan, campaign, command)
        variables = environment.of_runner(submit.snapshot, processes.identity(), lock)
        room = room or LoginNode(cores(), available_gb())
        state = _Run(root, plan, file, submit, found, room.cpus, room.memory_gb, max_failures, variables)
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
    submit = Submit(identity, time.time(), campaign, str(root), str(snapshot.take(root)), command, [], plan.tasks)
    return submissions.write(root, plan.name, submit), submit


def _loop(state: _Run, console: Console) -> None:
    with _progress(state, console) as progress, _interruptible(state):
        while True:
            for task in list(_startable(state)):
                state.running[task.digest] = _start(state, task)
            progress()
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
            env=state.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


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
    """The ready tasks for which cores and memory are free.

    First those after which weights can be dropped, then the longest, so that no long task is left to the end.

    A task that needs more than the machine has runs alone.
    """
    running = [state.plan.tasks[digest].resources for digest in state.running]
    busy = sum(resources.cores for resources in running)
    memory = sum(map(memory_gb, running))
    for task in sorted(survey.ready(state.plan, state.found), key=lambda task: _precedence(state.plan, task)):
        if task.digest in state.running or task.digest in state.failed_for_good:
            continue
        needed = memory_gb(task.resources)
        if busy and (busy + task.resources.cores > state.cores or memory + needed > state.memory_gb):
            continue
        busy += task.resources.cores
        memory += needed
        yield task


def _precedence(plan: Plan, task: Task) -> tuple[bool, float]:
    frees_disk = any(not plan.tasks[digest].keeps_weights for digest in task.needs())
    return not frees_disk, -task.resources.expected_hours


def memory_gb(resources: Resources) -> float:
    """The memory that a task needs, all its ranks together."""
    return (resources.memory_gb or DEFAULT_MEMORY_GB) * (resources.ranks if resources.mpi else 1)


def _finish(state: _Run, digest: str, console: Console) -> None:
    task = state.plan.tasks[digest]
    del state.running[digest]
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
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "without a message")
    return state.max_failures, f"its runner ended: {last}", log


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
            ending.end_all(places.lock(state.root, state.plan.name))
            for digest in state.running:
                _close(state, digest, "its launcher was interrupted", attempts.INTERRUPTED)
        raise


def _await(running: Iterable[subprocess.Popen], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for runner in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(max(0.0, deadline - time.monotonic()))


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
