"""One process at a time works on an artifact."""

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """One runner an artifact on this machine: a second one waits, then finds the task done."""
    with open(directory / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # some parallel file systems have no flock; the scheduler keeps tasks apart there
            print(f"{directory}: not locked ({error}); relying on the scheduler", file=sys.stderr)
        yield


def held(directory: Path) -> bool:
    """Whether a runner on this machine holds the artifact."""
    if not (directory / LOCK).exists():
        return False
    with open(directory / LOCK) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
