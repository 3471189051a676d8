"""The cluster that env/slurm/up starts."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.support import toys
from tests.support.toys import wait_for

pytestmark = pytest.mark.slurm
WORLD = """
import os
from mpi4py import MPI
world = MPI.COMM_WORLD
print(world.size, world.allreduce(world.rank), os.environ["SLURMD_NODENAME"])
"""


def test_up_leaves_a_healthy_cluster_alone(cluster) -> None:
    environment = {**os.environ, "MAX_ARRAY_SIZE": "11"}
    answer = subprocess.run([toys.ROOT / "env/slurm/up"], env=environment, capture_output=True, text=True, check=True)
    assert "already up" in answer.stdout


def test_two_nodes_of_two_processors(cluster) -> None:
    assert cluster.ask("sinfo", "-hN", "-o", "%N %c %R", "-p", "normal") == ["n1 2 normal", "n2 2 normal"]


def test_a_preempted_task_is_requeued_and_both_starts_are_accounted_for(cluster, tmp_path: Path) -> None:
    name = f"victim-{uuid.uuid4().hex}"
    line = ["sbatch", "--array=0-1", f"--job-name={name}", f"--output={tmp_path}/%a"]
    cluster.ask(*line, "--open-mode=append", "--wrap=echo start; sleep $((5 - 5 * ${SLURM_RESTART_COUNT:-0}))")
    wait_for(lambda: all((tmp_path / index).exists() for index in "01"), "two tasks that run")
    cluster.ask("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true")
    wait_for(cluster.idle, "an empty queue", poll=0.3)
    states = sorted(row["state"] for row in cluster.accounted(name, n=4))
    assert states == ["COMPLETED", "COMPLETED", "PREEMPTED", "PREEMPTED"]
    assert [(tmp_path / index).read_text().count("start\n") for index in "01"] == [2, 2]


def test_mpi_spans_the_nodes(cluster) -> None:
    environment = {**os.environ, "OMPI_MCA_btl": "self,tcp"}  # two nodes, but only one machine's shared memory
    line = ["srun", "--mpi=pmix", "-N2", "-n4", "--kill-on-bad-exit=1", sys.executable, "-m", "mpi4py", "-c", WORLD]
    answer = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert sorted(answer.stdout.split("\n")) == ["", "4 6 n1", "4 6 n1", "4 6 n2", "4 6 n2"]
