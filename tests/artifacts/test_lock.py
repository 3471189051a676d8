import errno
import fcntl
from pathlib import Path

import pytest

from lib.artifacts import lock


def as_nfs_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exclusive lock wants a file that is open for writing (flock(2), NFS details)."""
    granted = fcntl.flock

    def flock(file, operation: int) -> None:
        if operation & fcntl.LOCK_EX and not file.writable():
            raise OSError(errno.EBADF, "Bad file descriptor")
        granted(file, operation)

    monkeypatch.setattr(lock.fcntl, "flock", flock)


@pytest.mark.parametrize("nfs", [False, True])
def test_an_artifact_is_held_for_as_long_as_a_runner_works_on_it(tmp_path: Path, monkeypatch, nfs: bool) -> None:
    if nfs:
        as_nfs_does(monkeypatch)
    assert not lock.held(tmp_path)
    with lock.exclusive(tmp_path):
        assert lock.held(tmp_path)
    assert not lock.held(tmp_path)
