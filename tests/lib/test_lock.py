import json
import socket
import subprocess
import sys
import time

import pytest

from lib import lock
from lib.errors import TesseraError


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    with lock.hold(file):
        with pytest.raises(TesseraError, match=rf"held by process \d+ on {socket.gethostname()}"), lock.hold(file):
            pass
        assert file.exists()
    assert not file.exists()


def test_a_dead_holder_of_this_host_is_taken_over(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    code = (
        f"import os; from pathlib import Path; from lib import lock\nwith lock.hold(Path({str(file)!r})): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert file.exists()
    with lock.hold(file):
        assert lock.holder(file)["pid"]


def test_a_fresh_lock_of_another_host_is_respected_and_an_old_one_not(tmp_path) -> None:
    file = tmp_path / "submit.lock"
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": time.time()}))
    with pytest.raises(TesseraError, match="elsewhere"), lock.hold(file):
        pass
    file.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": time.time() - 2 * lock.FOREIGN_SECONDS}))
    with lock.hold(file):
        pass
