"""The prefix attack on a real cluster, with a generation killed between two shards."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from lib.base import hdf5, places
from tests.slurm.conftest import Cluster
from tests.slurm.smoke import SWEEP_SECONDS, Smoke, slow_checkout
from tests.support.toys import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def test_a_killed_generation_is_resumed_and_no_prompt_is_lost_or_repeated(cluster: Cluster, tmp_path: Path) -> None:
    shards = "nodes.generations.config.shard_prompts=9"
    smoke = Smoke(tmp_path / "outputs", cluster, "prefix_sizes", shards, slow_checkout(tmp_path / "checkout"))
    smoke.submit()
    wait_for(lambda: bool(_shards(smoke)), "a shard of a generation", SWEEP_SECONDS, poll=0.05)
    folder = _shards(smoke)[0].parent.parent
    (record,) = (folder / "attempts").glob("*.json")
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    smoke.finish()

    generations = [(hdf5.attributes(file)["model"], hdf5.read(file, "row")) for file in _generations(smoke)]
    rows = Counter((model, int(row)) for model, some in generations for row in some)
    prompts = len(hdf5.read(next(smoke.outputs.glob("store/prompts/*/prompts.h5")), "prompt"))
    assert len(rows) == 2 * prompts  # of two models
    assert set(rows.values()) == {1}
    assert len(list((folder / "attempts").glob("*.json"))) == 2
    assert Counter(state for _, state in smoke.starts())["FAILED"] == 1
    assert {b"gpt_neox_tiny", b"mamba_tiny"} <= set(smoke.tables()["memorized.csv"].replace(b"\n", b",").split(b","))


def _shards(smoke: Smoke) -> list[Path]:
    return list(smoke.outputs.glob(f"store/generate/*/{places.BLOCKS}/[0-9]*.h5"))


def _generations(smoke: Smoke) -> list[Path]:
    return list(smoke.outputs.glob("store/generate/*/generations.h5"))
