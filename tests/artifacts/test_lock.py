import errno
import fcntl
import json
import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from lib.artifacts import lock
from lib.base import lease, places
from lib.base.errors import TesseraError


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


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_on_a_file_system_without_locks_a_lease_stands_in_and_it_is_said_once(
    tmp_path: Path, monkeypatch, capsys, reason: int
) -> None:
    def flock(*_) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    lock._say_once.cache_clear()
    assert not lock.held(tmp_path)
    for _ in range(2):
        with lock.exclusive(tmp_path):
            assert lock.held(tmp_path)
            assert lease.holder(tmp_path / places.LEASE)["pid"] == os.getpid()
        assert not lock.held(tmp_path)
    assert capsys.readouterr().err.count(os.strerror(reason)) == 1


def test_without_locks_a_dead_runner_of_this_host_holds_nothing_and_one_of_another_may(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lock, "_flock", lambda *_: False)
    (tmp_path / places.LOCK).touch()
    record = {"pid": os.getpid(), "birth": "1", "since": 0.0}
    for host, held in ((socket.gethostname(), False), ("elsewhere", True)):
        (tmp_path / places.LEASE).write_text(json.dumps({"host": host, **record}))
        assert lock.held(tmp_path) == held


def test_another_error_of_a_lock_is_not_taken_for_a_file_system_without_locks(tmp_path, monkeypatch) -> None:
    def flock(*_) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"), lock.exclusive(tmp_path):
        pass


def test_a_lock_file_of_ours_that_may_not_be_written_is_mended_and_another_s_is_named(tmp_path, monkeypatch) -> None:
    """Root may write everything, so the refusal is played."""
    (tmp_path / places.LOCK).touch(mode=0o444)

    def refusing(path, mode="r"):
        if not path.stat().st_mode & 0o200:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, mode)

    monkeypatch.setattr(lock, "open", refusing, raising=False)
    monkeypatch.setattr(lock.os, "geteuid", lambda: -1)
    with (
        pytest.raises(TesseraError, match=r"\.lock: this lock file may not be written .*chmod"),
        lock.exclusive(tmp_path),
    ):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(lock, "open", refusing, raising=False)
    with lock.exclusive(tmp_path):
        assert (tmp_path / places.LOCK).stat().st_mode & 0o200


def ask(directory: Path, answers) -> None:
    answers.put(sum(lock.held(directory) for _ in range(2000)))


def test_those_who_ask_at_once_do_not_take_each_other_for_a_runner(tmp_path: Path) -> None:
    (tmp_path / places.LOCK).touch()
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    asking = [context.Process(target=ask, args=(tmp_path, answers)) for _ in range(3)]
    for process in asking:
        process.start()
    assert [answers.get(timeout=60) for _ in asking] == [0, 0, 0]
    for process in asking:
        process.join()
