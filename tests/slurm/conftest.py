"""A real SLURM cluster (`make slurm-up`), used through its own commands. Without it tests are skipped, except in CI."""

import getpass
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import toys
from tests.support.toys import Toy, wait_for

NODES = "n1,n2"


class Cluster:
    """The cluster, through its own commands."""

    def ask(self, *command: str) -> list[str]:
        """The lines that a command prints."""
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [line.strip() for line in answer.stdout.splitlines() if line.strip()]

    def queue(self, prefix: str = "") -> list[dict[str, str]]:
        """Waiting and running elements of jobs whose names begin so: array, name, state, node."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%F|%i|%j|%T|%N")
        rows = [dict(zip(("array", "job", "name", "state", "node"), line.split("|"))) for line in lines]
        return [row for row in rows if row["name"].startswith(prefix)]

    def accounting(self, prefix: str | tuple[str, ...]) -> list[dict[str, str]]:
        """Every start of every element by the accounting, also those that ended in a requeue."""
        columns = ("job", "name", "state", "node")
        lines = self.ask("sacct", "-D", "-X", "-P", "-n", "--format=JobID,JobName,State,NodeList")
        rows = [dict(zip(columns, line.split("|"))) for line in lines]
        return [row for row in rows if row["name"].startswith(prefix) and row["state"] != "PENDING"]

    def accounted(self, prefix: str | tuple[str, ...], n: int = 1) -> list[dict[str, str]]:
        """`accounting` of jobs that have left the queue. Waits until at least `n` starts have ended."""

        def settled() -> bool:
            rows = self.accounting(prefix)
            return len(rows) >= n and not any(row["state"] == "RUNNING" for row in rows)

        wait_for(settled, f"the end of every start of {prefix} in the accounting", poll=0.5)
        return self.accounting(prefix)

    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.ask("squeue", "--noheader")

    def node(self, name: str, state: str) -> None:
        """Set a node's state. It is not an error if the node has that state already."""
        line = ["scontrol", "update", f"nodename={name}", f"state={state}", "reason=test"]
        subprocess.run(line, capture_output=True, timeout=60, check=False)

    def healthy(self) -> bool:
        """Whether both nodes take jobs."""
        return len(self.ask("sinfo", "-hN", "--partition=normal", "--states=idle,mixed,allocated")) == 2

    def reset(self) -> None:
        """End all jobs and bring both nodes back."""
        self.ask("scancel", "--user", getpass.getuser())
        self.resume()
        wait_for(self.idle, "an empty queue", poll=0.3)

    def resume(self) -> None:
        """Bring both nodes back."""
        for name in NODES.split(","):
            self.node(name, "resume")
        wait_for(self.healthy, "two nodes", poll=0.3)


@pytest.fixture(scope="session")
def site() -> Cluster:
    """The cluster, found once."""
    try:
        ready = Cluster().healthy()
    except (OSError, subprocess.SubprocessError):
        ready = False
    if not ready and not os.environ.get("CI"):
        pytest.skip("no SLURM cluster of nodes n1 and n2 here: make slurm-up MAX_ARRAY_SIZE=11")
    assert ready, "CI must start the cluster first: make slurm-up MAX_ARRAY_SIZE=11"
    return Cluster()


@pytest.fixture
def cluster(site: Cluster):
    """The cluster, empty and whole before and after the test."""
    site.reset()
    yield site
    site.reset()


@pytest.fixture
def drained(cluster: Cluster):
    """A cluster on which nothing starts until its nodes are resumed."""
    cluster.node(NODES, "drain")
    return cluster


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toys.make(tmp_path / "checkout")
