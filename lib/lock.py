"""One planner a sweep: a lock file that says who holds it."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from lib.errors import TesseraError

FOREIGN_SECONDS = 3600.0  # a wave of submissions takes minutes; an older lock of another host is a dead one's


@contextlib.contextmanager
def hold(file: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` for the block. Raises TesseraError naming the holder when it stays taken."""
    deadline = time.monotonic() + wait_seconds
    file.parent.mkdir(parents=True, exist_ok=True)
    while not _take(file):
        if _dead(file):
            print(f"{file}: its holder is gone; taking over")
            file.unlink(missing_ok=True)
        elif time.monotonic() >= deadline:
            raise TesseraError(f"{file} is held by {_spell(file)}; wait for it, or delete the file if that is gone")
        else:
            time.sleep(1.0)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


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
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _take(file: Path) -> bool:
    """Link a complete lock file into place: it never exists half-written, and only one link succeeds."""
    mine = file.with_name(f".{file.name}-{socket.gethostname()}-{os.getpid()}")
    mine.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}))
    try:
        os.link(mine, file)
        return True
    except FileExistsError:
        return False
    finally:
        mine.unlink()


def _dead(file: Path) -> bool:
    found = holder(file)
    if found is None:
        return False
    if found["host"] == socket.gethostname():
        return not alive_here(found)
    return time.time() - found["since"] > FOREIGN_SECONDS


def _spell(file: Path) -> str:
    found = holder(file)
    if found is None:
        return "nobody now"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
    return f"process {found['pid']} on {found['host']} since {since}"
