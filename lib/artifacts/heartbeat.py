"""A sign of life: a file whose time of change its process renews, so that other hosts can tell that it lives.

Times are those of the file system, so that clocks of hosts that differ do not matter.
"""

import contextlib
import math
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lib.base import places

RENEW_SECONDS = 20.0


@contextlib.contextmanager
def kept(file: Path) -> Iterator[None]:
    """Renew `file` during the block, and remove it at the end. What is killed leaves it to grow old."""
    file.write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(file, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        file.unlink(missing_ok=True)


def _renew(file: Path, ended: threading.Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        try:
            os.utime(file)
        except OSError as error:  # the task goes on; at worst it is taken for lost, and its lock is asked
            print(f"{file}: could not be renewed: {error}", file=sys.stderr)


def silence(file: Path, now: float) -> float:
    """Seconds from the last sign of life to `now`; infinite if the task never began, or ended in good order."""
    try:
        return abs(now - file.stat().st_mtime)
    except FileNotFoundError:
        return math.inf


def clock(folder: Path) -> float:
    """The time of the file system of `folder`, as it stamps files; this host's own if nothing can be written there."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=places.PRIVATE) as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError as error:
        print(f"{folder}: {error.strerror}; this machine's own clock is used for the age of jobs", file=sys.stderr)
        return time.time()
