"""A rank that is killed ends all of them, and the same command on other ranks gives the bytes of an undisturbed run."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.artifacts import attempts
from lib.artifacts.command import main
from lib.base import places
from tests.stages.corpus.test_near_duplicates import write_targets
from tests.support import ranks
from tests.support.corpora import write_chunk

RANKS, PATIENCE_SECONDS = 2, 100.0
SLOW = {  # blocks and ranges so small that there is time to kill
    "suffix_array": {"range_tokens": 1, "memory_gb": 1e-7},
}
QUICK = {"suffix_array": {"range_tokens": 1 << 18, "memory_gb": 1}}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, rng = tmp_path_factory.mktemp("inputs"), np.random.default_rng(1)
    documents = rng.integers(0, 9, (60, 500)).tolist()
    return {
        "corpus": write_chunk(folder / places.chunk(0), documents),
        "targets": write_targets(folder / places.TARGETS, rng.integers(0, 9, (3, 12))),
    }


def ranks_below(pid: int) -> list[int]:
    """The processes that mpirun `pid` started to run the stage, in their order."""
    found = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()[1:]]
    below = {pid}
    for _ in range(3):  # mpirun, perhaps a daemon of it, perhaps a shell
        below |= {int(child) for child, parent, _ in rows if int(parent) in below}
    return sorted(int(child) for child, _, words in rows if int(child) in below - {pid} and "-m jobs " in words)


def wait_for(what: Any, running: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert running.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("stage", "victim", "result"),
    [("suffix_array", 1, places.SUFFIX_ARRAY)],  # of the other stages the campaign kills ranks (tests/campaign)
)
def test_a_killed_rank(stage: str, victim: int, result: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "config.yaml"
    wanted = {name: str(path) for name, path in inputs.items() if name == "corpus" or stage == "near_duplicates"}
    file.write_text(json.dumps({"inputs": wanted, **SLOW[stage]}))
    running = subprocess.Popen(
        ranks.command(stage, file, out, RANKS), cwd=ranks.ROOT, env={**os.environ, **ranks.ENVIRONMENT},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: any((out / places.BLOCKS).glob("*.*")) and attempts.read(out), running)
    started = ranks_below(running.pid)
    assert len(started) == RANKS
    os.kill(started[victim], signal.SIGKILL)
    assert running.wait(PATIENCE_SECONDS) != 0
    assert not any(map(alive, started))
    assert not (out / places.DONE).exists()
    assert not (out / result).exists()
    again = {"inputs": wanted, **SLOW[stage], **QUICK[stage]}
    assert ranks.run_ranks(stage, again, out, 3).returncode == 0
    assert [record["outcome"] for record in attempts.read(out)] == ["failed", "done"]
    undisturbed = tmp_path / "undisturbed"
    assert main(stage, ["--config", str(out.with_name("out.yaml")), "--out", str(undisturbed)]) == 0
    assert (out / result).read_bytes() == (undisturbed / result).read_bytes()
