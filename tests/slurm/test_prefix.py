"""The prefix attack on a real cluster, with a generation killed in the middle."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from lib import hdf5
from tests.slurm.conftest import Cluster
from tests.slurm.smoke import SWEEP_SECONDS, Smoke
from tests.toys import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def test_a_killed_generation_is_resumed_and_no_prompt_is_lost_or_repeated(cluster: Cluster, tmp_path: Path) -> None:
    smoke = Smoke(tmp_path / "outputs", cluster, "prefix_sizes", "nodes.generations.config.shard_prompts=1")
    smoke.submit()
    wait_for(lambda: _shards(smoke), "a shard of a generation", SWEEP_SECONDS, poll=0.01)
    os.kill(_process(smoke), signal.SIGKILL)
    smoke.finish()

    generations = list(smoke.outputs.glob("store/generate/*/generations.h5"))
    rows = Counter(hdf5.attributes(file)["model"] for file in generations for _ in hdf5.read(file, "row"))
    prompts = len(hdf5.read(next(smoke.outputs.glob("store/prompts/*/prompts.h5")), "prompt"))
    assert set(rows.values()) == {prompts}  # two parts a model
    assert Counter(state for _, state in smoke.starts())["FAILED"] == 1
    assert b"gpt_neox_tiny" in smoke.tables()["memorized.csv"]
    assert smoke.tables()["memorized.csv"].count(b"mamba_tiny") >= 3


def _shards(smoke: Smoke) -> list[Path]:
    return list(smoke.outputs.glob("store/generate/*/blocks/*.h5"))


def _process(smoke: Smoke) -> int:
    """The process that has made shards and not yet finished."""
    for shard in _shards(smoke):
        folder = shard.parent.parent
        if not (folder / "DONE.json").exists():
            return int(next(iter((folder / "attempts").glob("*.json"))).read_text().split('"pid": ')[1].split(",")[0])
    raise AssertionError("every generation has finished")
