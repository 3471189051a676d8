import json
import os
import socket
import subprocess
import sys
import time

import pytest

from lib.base import lease
from lib.base.errors import TesseraError


def test_a_second_holder_is_refused_with_the_name_of_the_first(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    with lease.hold(file):
        with (
            pytest.raises(TesseraError, match=rf"held by process \d+ on {socket.gethostname()}"),
            lease.hold(file),
        ):
            pass
        assert file.exists()
    assert not file.exists()


def test_a_dead_holder_of_this_host_is_taken_over(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    code = (
        "import os; from pathlib import Path; from lib.base import lease\n"
        f"with lease.hold(Path({str(file)!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert file.exists()
    with lease.hold(file):
        assert lease.holder(file)["pid"]


def test_a_fresh_lock_of_another_host_is_respected_and_an_old_one_not(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "birth": "1", "since": 0.0}))
    with pytest.raises(TesseraError, match="elsewhere"), lease.hold(file):
        pass
    long_ago = time.time() - 2 * lease.FOREIGN_SECONDS
    os.utime(file, (long_ago, long_ago))
    lease.refresh(file)
    with pytest.raises(TesseraError, match="elsewhere"), lease.hold(file):
        pass
    os.utime(file, (long_ago, long_ago))
    with lease.hold(file):
        assert lease.holder(file)["pid"] == os.getpid()


def test_a_process_that_was_given_a_dead_ones_number_is_not_the_holder(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    file.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "birth": "1", "since": 0.0}))
    with lease.hold(file):
        assert lease.holder(file)["birth"] != "1"


def test_a_lock_that_somebody_else_has_taken_over_is_left_alone(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    other = {"host": "elsewhere", "pid": 1, "birth": "1", "since": 0.0}
    with lease.hold(file):
        file.unlink()
        file.write_text(json.dumps(other))
    assert lease.holder(file) == other
    assert list(tmp_path.iterdir()) == [file]
