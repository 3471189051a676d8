"""One launcher or controller at a time works on a sweep. Its lock file says which process holds it."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from lib.base.errors import TesseraError

FOREIGN_SECONDS = 3600.0  # after so long without a refresh, the holder on another host is taken for dead
REFRESH_SECONDS = 60.0


@contextlib.contextmanager
def hold(file: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` during the block. Raises TesseraError naming the holder if another process keeps it."""
    deadline = time.monotonic() + wait_seconds
    file.parent.mkdir(parents=True, exist_ok=True)
    while not _take(file):
        if (found := holder(file)) and _dead(file, found):
            print(f"{file}: the process that held it is gone; taking over")
            _remove(file, found)
        elif time.monotonic() >= deadline:
            raise TesseraError(f"{file} is held by {_describe_holder(file)}; wait, or delete the file if it is gone")
        else:
            time.sleep(1.0)
    mine = holder(file)
    try:
        yield
    finally:
        _remove(file, mine)


def refresh(file: Path) -> None:
    """Show that the holder is alive, at most once a minute. For a holder that keeps the lock for hours."""
    if time.time() - file.stat().st_mtime > REFRESH_SECONDS:
        os.utime(file)


def holder(file: Path) -> dict | None:
    """The process that holds the lock, {host, pid, birth, since}, or None."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def alive_here(holder: dict) -> bool:
    """Whether the holder is a living process of this host."""
    if holder["host"] != socket.gethostname():
        return False
    return _birth(holder["pid"]) == holder["birth"]


def _take(file: Path) -> bool:
    """Take the lock by linking a complete file into place: it is never half-written, and only one link succeeds."""
    mine = file.with_name(f".{file.name}-{socket.gethostname()}-{os.getpid()}")
    mine.write_text(json.dumps(_myself()), encoding="utf-8")
    try:
        os.link(mine, file)
        return True
    except FileExistsError:
        return False
    finally:
        mine.unlink()


def _remove(file: Path, judged: dict) -> None:
    """Remove the lock if `judged` still holds it: another process may have taken it over in the meantime."""
    aside = file.with_name(f".{file.name}-{socket.gethostname()}-{os.getpid()}-old")
    try:
        os.rename(file, aside)
    except FileNotFoundError:
        return
    if holder(aside) != judged:
        os.link(aside, file)
    aside.unlink()


def _myself() -> dict:
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "birth": _birth(pid), "since": time.time()}


def _birth(pid: int) -> str | None:
    """When a process of this host began, in kernel ticks: it tells processes apart that had the same id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _dead(file: Path, found: dict) -> bool:
    if found["host"] == socket.gethostname():
        return not alive_here(found)
    return time.time() - file.stat().st_mtime > FOREIGN_SECONDS


def _describe_holder(file: Path) -> str:
    found = holder(file)
    if found is None:
        return "another process"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
    return f"process {found['pid']} on {found['host']} since {since}"
