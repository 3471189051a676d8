"""The slimpajama sweep on a real cluster: MPI ranks over both nodes, under srun."""

import subprocess
from pathlib import Path

import pytest

from tests.slurm.conftest import Cluster
from tests.slurm.smoke import Smoke
from tests.support import toys

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


def test_ranks_on_both_nodes_give_the_tables_of_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    smoke = Smoke(tmp_path / "cluster", cluster, "slimpajama", "ranks=3")
    smoke.submit()
    smoke.finish()
    both = {row["node"] for row in smoke.accounting() if row["name"] in {name for name, _ in smoke.elements()}}
    assert "n[1-2]" in both  # three ranks do not fit on one node of two processors
    assert {state for _, state in smoke.starts()} == {"COMPLETED"}

    line = ["make", "sweep-slimpajama", "PROFILE=smoke", "CLUSTER=local", f"OUTPUTS={tmp_path / 'here'}", "SET=ranks=1"]
    done = subprocess.run(line, cwd=toys.ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    here = {file.name: file.read_bytes() for file in (tmp_path / "here").glob(f"sweeps/{smoke.run}/tables/*")}
    assert here == smoke.tables()
    assert len(here) >= 4
