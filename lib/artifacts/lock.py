"""One process at a time works on an artifact."""

import contextlib
import errno
import fcntl
import functools
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lib.base import lease, places
from lib.base.errors import TesseraError

UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # what a file system without locks answers


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock of an artifact. A second runner waits, and then finds the task done."""
    with _open(directory / places.LOCK) as file:
        if _flock(file, fcntl.LOCK_EX):
            yield
            return
    with lease.hold(directory / places.LEASE, wait_seconds=math.inf):
        yield


def held(directory: Path) -> bool:
    """Whether a runner holds the lock of an artifact. Asking hinders neither it nor another that asks."""
    try:
        with open(directory / places.LOCK, "rb") as file:
            if _flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB):  # NFS grants an exclusive one to writers only
                return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    found = lease.holder(directory / places.LEASE)
    return found is not None and (lease.alive_here(found) or not lease.is_here(found))


def _open(path: Path) -> IO[bytes]:
    """The lock file, for writing, as NFS wants it. One that we may not write is made writable if it is ours."""
    try:
        return open(path, "wb")
    except PermissionError as error:
        if path.exists() and path.stat().st_uid == os.geteuid():
            path.chmod(0o644)
            return open(path, "wb")
        raise TesseraError(f"{path}: this lock file may not be written ({error.strerror}); `chmod u+w` it") from error


def _flock(file: IO[bytes], operation: int) -> bool:
    """Lock a file; False if its file system knows no locks. Raises BlockingIOError if it is locked already."""
    try:
        fcntl.flock(file, operation)
        return True
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _say_once(error.strerror)
        return False


@functools.cache
def _say_once(reason: str) -> None:
    print(
        f"the outputs' file system knows no locks ({reason}); files that their holders renew stand in", file=sys.stderr
    )
