import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lib.artifacts import attempts
from lib.base import gpus, places
from lib.base.places import ROOT
from lib.plans.resources import Resources
from lib.running import warm_process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (
        warm_process.server(tmp_path_factory.mktemp("warm"), environment, str(ROOT), wait=True) as variable,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(warm_process.VARIABLE, variable[warm_process.VARIABLE])
        assert Path(variable[warm_process.VARIABLE]).exists()
        yield


def config(path: Path, **values) -> Path:
    path.write_text(json.dumps(values))
    return path


def in_fork(stage: str, argv: list[str], log: Path) -> int:
    with open(log, "ab") as output:
        return warm_process.run(stage, argv, output)


@pytest.fixture(scope="module")
def text(server, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    file = config(folder / "text.yaml", packages=["rich"], n_books=2, book_characters=2000)
    assert in_fork("text", ["--config", str(file), "--out", str(folder / "fork")], folder / "log") == 0
    return folder / "fork"


def test_a_fork_writes_what_a_process_of_its_own_writes(text, tmp_path) -> None:
    file = text.parent / "text.yaml"
    line = [sys.executable, "-m", "jobs", "text", "--config", str(file), "--out", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / places.TEXT).read_bytes() == (text / places.TEXT).read_bytes()


def test_exit_code_and_message_come_back(server, tmp_path) -> None:
    file = config(tmp_path / "c.yaml", pakages=["rich"], n_books=2)
    code = in_fork("text", ["--config", str(file), "--out", str(tmp_path / "out")], tmp_path / "log")
    assert code == 2
    assert "unknown key 'pakages'; did you mean 'packages'" in (tmp_path / "log").read_text()


def test_a_fork_opens_no_log_so_that_its_disk_cannot_end_it_without_a_word(text, tmp_path) -> None:
    """On a full or failing disk a log can be written while it is open, but not be opened again."""
    log = tmp_path / "log"
    with open(log, "ab") as output:
        log.unlink()
        assert warm_process.run("text", ["--config", str(tmp_path / "none.yaml"), "--out", "x"], output) == 2
        assert "none.yaml" in Path(f"/proc/self/fd/{output.fileno()}").read_text()
    assert not log.exists()


def test_a_fork_dies_with_its_runner(text, tmp_path) -> None:
    file = config(tmp_path / "c.yaml", objective="causal", vocab_size=300, steps=100_000, inputs={"text": str(text)})
    argv = ["--config", str(file), "--out", str(tmp_path / "out")]
    log = str(tmp_path / "log")
    code = f"from lib.running import warm_process; warm_process.run('pretrain', {argv!r}, open({log!r}, 'ab'))"
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    pid = _wait(lambda: next((record["pid"] for record in attempts.read(tmp_path / "out") if "pid" in record), None))
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert _wait(lambda: not Path(f"/proc/{pid}").exists())


def test_a_server_that_cannot_start_is_not_waited_for(tmp_path) -> None:
    start = time.monotonic()
    with warm_process.server(tmp_path, {"PYTHONHOME": "/nowhere"}, str(ROOT), wait=True) as variable:
        assert not Path(variable[warm_process.VARIABLE]).exists()
    assert time.monotonic() - start < warm_process.START_SECONDS / 2


def test_without_a_server_it_is_an_error(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(warm_process.VARIABLE, str(tmp_path / "nobody.sock"))
    with pytest.raises(OSError):
        in_fork("text", [], tmp_path / "log")


def test_a_stage_is_forked_if_it_imports_torch_and_asks_for_what_the_warm_process_has(monkeypatch) -> None:
    kinds = [Resources(), Resources(cpus=2), Resources(gpus=1), Resources(cpus=8, gpus=1)]
    for has in kinds:
        monkeypatch.setenv(warm_process.SUITED, warm_process._kind(has))
        monkeypatch.setenv(warm_process.VARIABLE, "somewhere")
        assert [asks for asks in kinds if warm_process.suits("membership", asks)] == [has]
        assert not any(warm_process.suits("inject", asks) for asks in kinds)
        assert not warm_process.suits("finetune", replace(has, torchrun=True, ranks=2, gpus=0))
        monkeypatch.delenv(warm_process.VARIABLE)
        assert not warm_process.suits("membership", has)


def test_a_fork_that_inherited_a_gpu_refuses_and_its_runner_starts_a_process(monkeypatch, tmp_path) -> None:
    """torch says of a fork whether its parent has opened a GPU; here it is made to say so."""
    import torch

    monkeypatch.setenv(gpus.ASKED, "1")
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    address = str(tmp_path / "warm.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        if (child := os.fork()) == 0:
            warm_process._refuse_gpu(listener.accept()[0])
            os._exit(9)  # it has not refused
        monkeypatch.setenv(warm_process.VARIABLE, address)
        with pytest.raises(OSError, match="cannot use the GPU"):
            in_fork("membership", [], tmp_path / "log")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def _wait(condition, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("not in time")
