"""Processes that end with those that started them (Linux).

There are two means, because each has a gap. The kernel ends a child when its parent dies (`die_with`), but not what a
program that is not ours (mpirun, torchrun, a compiler) has started. And a process inherits a mark in its environment
from the one that it works for, whoever its parent becomes: `end_marked` finds it by that.
"""

import contextlib
import ctypes
import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.base import interrupts

RUN = "TESSERA_RUN"  # the mark of everything that one local run has started
RUNNER = "TESSERA_RUNNER"  # the mark of everything that one runner has started: the runner's identity
GRACE_SECONDS = 2.0  # for mpirun and torchrun to end their ranks and remove their own files
EXIT_CODES = {
    os.EX_CANTCREAT: " (a disk is full, its quota is used up, or it may not be written)",
    os.EX_IOERR: " (Input/output error: a disk fails)",
}
PATIENCE_SECONDS = 10.0  # a killed process may take so long to go, if its disk is slow
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded here, because between fork and exec it is too late


def birth(pid: int) -> str | None:
    """When a process of this host began, in kernel ticks: it tells processes apart that had the same id.

    None if there is none, or if it has ended and waits to be reaped.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def identity(pid: int | None = None) -> str:
    """`<pid>-<birth>@<place>` of a process of this host, by default of this one."""
    pid = pid or os.getpid()
    return f"{pid}-{birth(pid)}@{_place()}"


def alive(known: str) -> bool:
    """Whether the process with this identity lives. One of another place is taken to."""
    process, _, place = known.partition("@")
    pid, _, began = process.partition("-")
    return place != _place() or birth(int(pid)) == began


@functools.cache
def _place() -> str:
    """The host and the name space of process ids, without which an id says nothing."""
    return f"{socket.gethostname()}-{os.stat('/proc/self/ns/pid').st_ino}"


def die_with(parent: str, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies. If that has happened already, end now.

    parent: the identity that it had; one that is just dying still seems to live, but is not the parent any more.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != int(parent.partition("-")[0]):
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_parent() -> None:
    """The same for a rank, whose parent (mpirun, torchrun, srun) it cannot name. The parent ends with the runner."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not alive(os.environ.get(RUNNER) or identity(os.getppid())):
        os.kill(os.getpid(), signal.SIGKILL)


def run(line: Sequence[str], environment: Mapping[str, str], **options: Any) -> int:
    """Run a program to its end. Returns its exit code.

    Nothing that it has started lives on, whether it ends, fails, is killed, or this process is asked to end.
    """
    me = identity()
    try:
        return run_alone(line, {**environment, RUNNER: me}, **options)
    finally:
        with interrupts.delayed():
            end_marked(RUNNER, lambda mark: mark == me)


def run_alone(line: Sequence[str], environment: Mapping[str, str], **options: Any) -> int:
    """The same without what the program has started, for one that sees to that itself or submits jobs."""
    me = identity()
    child = subprocess.Popen(
        line, env=environment, stdin=subprocess.DEVNULL, preexec_fn=lambda: die_with(me), **options
    )
    try:
        return child.wait()
    finally:
        with interrupts.delayed():
            _end(child)


def _end(child: subprocess.Popen) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def exit_reason(code: int) -> str:
    """An exit code in words; a negative one is the signal that ended the process."""
    if code < 0:
        return f"ended with signal {signal.Signals(-code).name}"
    return f"ended with exit code {code}{EXIT_CODES.get(code, '')}"


def end_marked(variable: str, suits: Callable[[str], bool]) -> set[int]:
    """Kill every other process of this user and host whose mark suits, until there is none. Returns their ids."""
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := marked(variable, suits) - {os.getpid()}) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.01)
    return ended


def marked(variable: str, suits: Callable[[str], bool]) -> set[int]:
    """The processes of this user and host whose mark suits."""
    folders = (folder for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return {int(folder.name) for folder in folders if (mark := _mark(folder, variable)) and suits(mark)}


def _mark(folder: Path, variable: str) -> str:
    """The value of a variable in the environment that a process was started with; empty if it has none."""
    try:
        entries = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return ""
    name = f"{variable}=".encode()
    return next((os.fsdecode(entry[len(name) :]) for entry in entries if entry.startswith(name)), "")
