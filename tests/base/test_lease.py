import errno
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.base import interrupts, lease
from lib.base.errors import TesseraError
from tests.support.toys import wait_for

ELSEWHERE = json.dumps({"host": "elsewhere", "pid": 1, "birth": "1", "since": 0.0})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "submit.lock"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"RENEW_SECONDS": 0.02, "DEAD_SECONDS": 0.3, "POLL_SECONDS": 0.02}.items():
        monkeypatch.setattr(lease, name, seconds)


def renewing(file: Path, clock: float) -> threading.Event:
    """A living holder on another host, whose clock shows another time. Set the event to end it."""
    file.write_text(ELSEWHERE)
    ended = threading.Event()

    def renew() -> None:
        ticks = 0
        while not ended.wait(0.02):
            ticks += 1
            os.utime(file, (clock + ticks, clock + ticks))

    threading.Thread(target=renew, daemon=True).start()
    return ended


def test_a_second_holder_is_refused_with_the_name_of_the_first(file: Path) -> None:
    lease.check_free(file)
    with lease.hold(file):
        with pytest.raises(TesseraError, match="is held by process"):
            lease.check_free(file)
        with pytest.raises(TesseraError, match=rf"held by process \d+ on {socket.gethostname()}"), lease.hold(file):
            pass
        assert file.exists()
    assert list(file.parent.iterdir()) == []


def test_a_dead_holder_of_this_host_is_taken_over_at_once(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(lease, "DEAD_SECONDS", 3600.0)
    code = (
        "import os; from pathlib import Path; from lib.base import lease\n"
        f"with lease.hold(Path({str(file)!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert file.exists()
    with lease.hold(file):
        assert lease.holder(file)["pid"] == os.getpid()


@pytest.mark.parametrize("clock", [0.0, 1.7e9, 4e9])
def test_a_holder_on_another_host_is_alive_while_it_renews_and_dead_after_whatever_its_clock(file, clock) -> None:
    ended = renewing(file, clock)
    with pytest.raises(TesseraError, match="elsewhere"), lease.hold(file):
        pass
    ended.set()
    with lease.hold(file):
        assert lease.holder(file)["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"host": 1, "pid": "x", "birth": null, "since": ""}', "\0"])
def test_a_damaged_lock_that_nothing_renews_is_replaced(file: Path, content: str, capsys) -> None:
    file.write_text(content)
    assert lease.holder(file) is None
    with lease.hold(file):
        assert lease.holder(file)["pid"] == os.getpid()
    assert "the lock file is damaged" in capsys.readouterr().out


def test_the_holder_renews_it(file: Path) -> None:
    with lease.hold(file):
        first = file.stat().st_mtime_ns
        wait_for(lambda: file.stat().st_mtime_ns > first, "a renewal", 10)


def test_a_lock_that_was_deleted_by_hand_is_made_again(file: Path) -> None:
    with lease.hold(file):
        file.unlink()
        wait_for(file.exists, "the lock", 10)
    assert not file.exists()


def test_a_holder_whose_lock_was_taken_over_is_asked_to_end_and_leaves_it_alone(file: Path) -> None:
    aside = file.parent.with_name("other")
    aside.write_text(ELSEWHERE)
    with pytest.raises(interrupts.Interrupted) as asked, interrupts.raised(), lease.hold(file):
        time.sleep(float(os.replace(aside, file) or 10))
    assert asked.value.number == signal.SIGTERM
    assert list(file.parent.iterdir()) == [file]
    assert file.read_text() == ELSEWHERE


def test_a_process_that_was_given_a_dead_ones_number_is_not_the_holder(file: Path) -> None:
    file.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "birth": "1", "since": 0.0}))
    with lease.hold(file):
        assert lease.holder(file)["birth"] != "1"


def test_without_hard_links_it_is_a_lock_all_the_same(file: Path, monkeypatch) -> None:
    def link(*_) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(lease.os, "link", link)
    with lease.hold(file), pytest.raises(TesseraError, match="held by"), lease.hold(file):
        pass
    assert list(file.parent.iterdir()) == []


def count_up(file: Path, counter: Path) -> None:
    for _ in range(20):
        with lease.hold(file, wait_seconds=60):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_of_many_processes_one_at_a_time_holds_it(file: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_up, args=(file, counter)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.read_text() == "60"
