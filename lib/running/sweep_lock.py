"""One planner a sweep: a lock file that says who holds it."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from lib.base.errors import TesseraError

FOREIGN_SECONDS = 3600.0  # a lock of another host that was not refreshed for so long is a dead one's
REFRESH_SECONDS = 60.0


@contextlib.contextmanager
def hold(file: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` for the block. Raises TesseraError naming the holder when it stays taken."""
    deadline = time.monotonic() + wait_seconds
    file.parent.mkdir(parents=True, exist_ok=True)
    while not _take(file):
        if (found := holder(file)) and _dead(file, found):
            print(f"{file}: its holder is gone; taking over")
            _remove(file, found)
        elif time.monotonic() >= deadline:
            raise TesseraError(f"{file} is held by {_spell(file)}; wait for it, or delete the file if that is gone")
        else:
            time.sleep(1.0)
    mine = holder(file)
    try:
        yield
    finally:
        _remove(file, mine)


def refresh(file: Path) -> None:
    """Show, once a minute at the most, that the holder is alive; for one that holds the lock for hours."""
    if time.time() - file.stat().st_mtime > REFRESH_SECONDS:
        os.utime(file)


def holder(file: Path) -> dict | None:
    """Who holds the lock, or None: {host, pid, since}."""
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def alive_here(holder: dict) -> bool:
    """Whether the holder is a living process of this host."""
    if holder["host"] != socket.gethostname():
        return False
    return _birth(holder["pid"]) == holder["birth"]


def _take(file: Path) -> bool:
    """Link a complete lock file into place: it never exists half-written, and only one link succeeds."""
    mine = file.with_name(f".{file.name}-{socket.gethostname()}-{os.getpid()}")
    mine.write_text(json.dumps(_myself()))
    try:
        os.link(mine, file)
        return True
    except FileExistsError:
        return False
    finally:
        mine.unlink()


def _remove(file: Path, judged: dict) -> None:
    """Remove the lock if it is still the one judged: somebody may have taken a dead one's place in the meantime."""
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
    """When a process of this host began, in the kernel's ticks: a number is given to another process one day."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _dead(file: Path, found: dict) -> bool:
    if found["host"] == socket.gethostname():
        return not alive_here(found)
    return time.time() - file.stat().st_mtime > FOREIGN_SECONDS


def _spell(file: Path) -> str:
    found = holder(file)
    if found is None:
        return "nobody now"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
    return f"process {found['pid']} on {found['host']} since {since}"
