"""A rank that is killed ends all of them, and the same command on other ranks gives the bytes of an undisturbed run."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import attempts
from lib.artifacts.command import main
from lib.base import places
from tests.support import ranks
from tests.support.corpora import write_chunk

RANKS, VICTIM, PATIENCE_SECONDS = 2, 1, 100.0
STAGE, RESULT = "suffix_array", places.SUFFIX_ARRAY  # of the other stages the campaign kills ranks (tests/campaign)
SLOW = {"range_tokens": 1, "memory_gb": 1e-7}  # ranges so small that there is time to kill
QUICK = {"range_tokens": 1 << 18, "memory_gb": 1}


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


def test_a_killed_rank(tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "config.yaml"
    documents = np.random.default_rng(1).integers(0, 9, (60, 500)).tolist()
    inputs = {"corpus": str(write_chunk(tmp_path / places.chunk(0), documents))}
    file.write_text(json.dumps({"inputs": inputs, **SLOW}))
    running = subprocess.Popen(
        ranks.command(STAGE, file, out, RANKS), cwd=ranks.ROOT, env={**os.environ, **ranks.ENVIRONMENT},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: any((out / places.BLOCKS).glob("*.*")) and attempts.read(out), running)
    started = ranks_below(running.pid)
    assert len(started) == RANKS
    os.kill(started[VICTIM], signal.SIGKILL)
    assert running.wait(PATIENCE_SECONDS) != 0
    assert not any(map(alive, started))
    assert not (out / places.DONE).exists()
    assert not (out / RESULT).exists()
    assert ranks.run_ranks(STAGE, {"inputs": inputs, **QUICK}, out, 3).returncode == 0
    assert [record["outcome"] for record in attempts.read(out)] == ["failed", "done"]
    undisturbed = tmp_path / "undisturbed"
    assert main(STAGE, ["--config", str(out.with_name("out.yaml")), "--out", str(undisturbed)]) == 0
    assert (out / RESULT).read_bytes() == (undisturbed / RESULT).read_bytes()
