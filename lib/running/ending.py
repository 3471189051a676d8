"""The end of a sweep: nothing that a local run has started lives on; `cancel` ends it, or its jobs, from any shell."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.base import interrupts, lease, places, processes
from lib.base.errors import TesseraError
from lib.running import slurm, submissions

CANCEL_SECONDS = 30.0  # for a launcher to end its runners
POLL_SECONDS = 0.1


@contextlib.contextmanager
def all_of(lock: Path) -> Iterator[None]:
    """Kill what an earlier holder of a sweep's lock left running, and at the end what the block left."""
    end_all(lock)
    try:
        yield
    finally:
        end_all(lock)


def end_all(lock: Path) -> set[int]:
    """Kill everything that launchers of this machine started under a sweep's lock. Returns the process ids."""
    with interrupts.delayed():
        return processes.end_marked(processes.RUN, lambda mark: mark.partition(":")[2] == str(lock))


def cancel(root: Path, sweep: str) -> str:
    """End the launcher that works on a sweep on this machine, and all that it has started. Returns what was done.

    Raises TesseraError naming host and process if it is on another machine.
    """
    lock = places.lock(root, sweep)
    found = lease.holder(lock)
    if found and not lease.is_here(found):
        raise TesseraError(
            f"the sweep is held by process {found['pid']} on {found['host']}; cancel it there. If that machine is "
            f"gone, `submit` takes the sweep over once nobody has renewed {lock} for {lease.DEAD_SECONDS:.0f} s"
        )
    said = [_end_launcher(found)] if found else []
    if found:
        lease.remove_dead(lock)
    if left := end_all(lock):
        said.append(f"killed {len(left)} processes that no launcher had ended")
    if not said and lock.exists():
        said.append(f"{lock} is damaged; `submit` takes the sweep over if nothing renews it")
    return "; ".join(said) or "nothing is running"


def cancel_jobs(root: Path, sweep: str) -> set[str]:
    """Cancel every job of a sweep. Returns their ids. A controller may submit more before it ends, so SLURM is asked
    until it knows no others. That the user has accepted the costs of what was submitted counts no more."""
    cancelled: set[str] = set()
    submissions.record_cancelled(root, sweep)
    while left := _jobs(root, sweep) - cancelled:
        slurm.cancel(left)
        cancelled |= left
    submissions.record_cancelled(root, sweep)
    return cancelled


def _jobs(root: Path, sweep: str) -> set[str]:
    queued = slurm.queue()
    return slurm.jobs_of(queued, {file.stem for file in submissions.files(root, sweep)})  # a damaged file has its name


def held_elsewhere(root: Path, sweep: str) -> str:
    """What to do about a command on another host that holds the sweep; empty if there is none."""
    found = lease.holder(places.lock(root, sweep))
    if found is None or lease.is_here(found):
        return ""
    return (
        f"process {found['pid']} on {found['host']} holds the sweep: if it is a command that stays, "
        "and no job that was just cancelled, end it there, or it submits again"
    )


def is_held_here(root: Path, sweep: str) -> bool:
    """Whether a launcher of this machine holds the lock of a sweep."""
    found = lease.holder(places.lock(root, sweep))
    return found is not None and lease.is_here(found)


def _end_launcher(found: dict[str, Any]) -> str:
    """Ask a launcher of this machine to end, and kill it if it does not. Returns what was done."""
    pid = found["pid"]
    if not lease.alive_here(found):
        return f"process {pid}, which held the sweep, is gone"
    try:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # it may have been stopped
        if _gone(found, CANCEL_SECONDS):
            return f"ended process {pid} and its tasks"
        os.kill(pid, signal.SIGKILL)
        _gone(found, processes.PATIENCE_SECONDS)
        return f"killed process {pid}, which did not end within {CANCEL_SECONDS:.0f} s"
    except ProcessLookupError:
        return f"process {pid} has just ended"
    except PermissionError as error:
        raise TesseraError(f"process {pid}, which holds the sweep, is another user's; ask them to end it") from error


def _gone(found: dict[str, Any], seconds: float) -> bool:
    """Whether a process of this machine ends within so many seconds."""
    deadline = time.monotonic() + seconds
    while lease.alive_here(found) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return not lease.alive_here(found)
