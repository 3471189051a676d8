import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.artifacts import attempts
from lib.base import places
from lib.base.places import ROOT
from lib.running import warm_process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (
        warm_process.server(tmp_path_factory.mktemp("warm"), environment, str(ROOT)) as variable,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(warm_process.VARIABLE, variable[warm_process.VARIABLE])
        while not Path(variable[warm_process.VARIABLE]).exists():
            time.sleep(0.05)
        yield


def config(path: Path, **values) -> Path:
    path.write_text(json.dumps(values))
    return path


@pytest.fixture(scope="module")
def text(server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    file = config(folder / "text.yaml", packages=["rich"], n_books=2, book_characters=2000)
    assert warm_process.run("text", ["--config", str(file), "--out", str(folder / "fork")], folder / "log") == 0
    return folder / "fork"


def test_a_fork_writes_what_a_process_of_its_own_writes(text, tmp_path) -> None:
    file = text.parent / "text.yaml"
    line = [sys.executable, "-m", "jobs", "text", "--config", str(file), "--out", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / places.TEXT).read_bytes() == (text / places.TEXT).read_bytes()


def test_exit_code_and_message_come_back(server, tmp_path) -> None:
    file = config(tmp_path / "c.yaml", pakages=["rich"], n_books=2)
    code = warm_process.run("text", ["--config", str(file), "--out", str(tmp_path / "out")], tmp_path / "log")
    assert code == 2
    assert "unknown key 'pakages'; did you mean 'packages'" in (tmp_path / "log").read_text()


def test_a_fork_dies_with_its_runner(text, tmp_path) -> None:
    file = config(tmp_path / "c.yaml", objective="causal", vocab_size=300, steps=100_000, inputs={"text": str(text)})
    argv = ["--config", str(file), "--out", str(tmp_path / "out")]
    log = str(tmp_path / "log")
    code = (
        "from lib.running import warm_process; from pathlib import Path; "
        f"warm_process.run('pretrain', {argv!r}, Path({log!r}))"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    pid = _wait(lambda: next((record["pid"] for record in attempts.read(tmp_path / "out") if "pid" in record), None))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert _wait(lambda: not Path(f"/proc/{pid}").exists())


def test_without_a_server_it_is_an_error(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(warm_process.VARIABLE, str(tmp_path / "nobody.sock"))
    with pytest.raises(OSError):
        warm_process.run("text", [], tmp_path / "log")


def test_only_single_threads_without_gpu_are_forked(monkeypatch) -> None:
    monkeypatch.setenv(warm_process.VARIABLE, "somewhere")
    assert warm_process.suits("membership", 1, 0)
    assert not warm_process.suits("membership", 2, 0)
    assert not warm_process.suits("membership", 1, 1)
    assert not warm_process.suits("inject", 1, 0)


def _wait(condition, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("not in time")
