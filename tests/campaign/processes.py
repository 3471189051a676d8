"""The processes of one trial: those whose command, environment or working folder names the trial's folder."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Role -> what stands in the command line, the first that fits; as in shim.c.
MARKS = {
    "controller": "--controller=",
    "launcher": "launch.py",
    "job": "lib.running.job",
    "runner": "lib.running.runner",
    "warm": "lib.running.warm_process",
    "scheduler": "fakeslurm.py",
    "stage": "-m jobs ",
}
END_SECONDS = 8.0


@dataclass(frozen=True)
class Process:
    """A living process."""

    pid: int
    line: str

    @property
    def role(self) -> str:
        """What it does in a sweep."""
        return next((role for role, mark in MARKS.items() if mark in self.line), "other")

    def signal(self, number: int) -> bool:
        """Send a signal. Returns whether the process was still there."""
        try:
            os.kill(self.pid, number)
            return True
        except ProcessLookupError:
            return False


def of(folder: Path) -> list[Process]:
    """The processes of the trial in `folder`, without those that have ended and wait to be reaped."""
    return [process for process in _all() if _belongs(process.pid, str(folder).encode())]


def end(folder: Path) -> None:
    """Kill what is left of a trial."""
    deadline = time.monotonic() + END_SECONDS
    while (left := of(folder)) and time.monotonic() < deadline:
        for process in left:
            process.signal(signal.SIGKILL)
        time.sleep(0.05)


def left(folder: Path, seconds: float = END_SECONDS) -> list[Process]:
    """The processes that are still there after some time in which they may end."""
    deadline = time.monotonic() + seconds
    while (found := of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _all() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            line = _read(entry.name, "cmdline").replace(b"\0", b" ").decode(errors="replace")
            yield Process(int(entry.name), line)


def _belongs(pid: int, folder: bytes) -> bool:
    if any(folder in _read(pid, name) for name in ("cmdline", "environ")):
        return _read(pid, "stat").rpartition(b")")[2].split()[:1] != [b"Z"]
    return False


def _read(pid: int | str, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
