"""One process at a time works on an artifact."""

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from lib.base import places


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock of an artifact. A second runner on this machine waits, and then finds the task done."""
    with open(directory / places.LOCK, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # not on every parallel file system; there the scheduler starts a task only once
            print(f"{directory}: cannot be locked ({error}); relying on the scheduler", file=sys.stderr)
        yield


def held(directory: Path) -> bool:
    """Whether a runner on this machine holds the lock of an artifact."""
    if not (directory / places.LOCK).exists():
        return False
    with open(directory / places.LOCK, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # NFS grants an exclusive one to writers only
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
