"""The smoke sweep through `make` on a real cluster: undisturbed, then with a kill, a lost node and a preemption."""

import json
import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import toys
from tests.slurm.conftest import Cluster
from tests.toys import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
SWEEP_SECONDS = 600.0


@dataclass
class Smoke:
    """One run of the smoke sweep."""

    outputs: Path
    cluster: Cluster

    def make(self, target: str) -> subprocess.CompletedProcess:
        line = ["make", f"{target}-near-dupls", "PROFILE=smoke", "CLUSTER=local-slurm", f"OUTPUTS={self.outputs}"]
        return subprocess.run(line, cwd=toys.ROOT, capture_output=True, text=True, timeout=120, check=False)

    def submit(self) -> str:
        done = self.make("sweep")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def finish(self) -> None:
        """Wait until nothing of the sweep waits or runs, and require that everything is done."""
        wait_for(lambda: not self.cluster.queue(self.jobs()), "the end of the sweep", SWEEP_SECONDS, poll=0.5)
        status = self.make("status")
        assert status.returncode == 0, status.stdout + status.stderr + self.make("logs").stdout

    def submits(self) -> list[dict]:
        """Every frozen submit."""
        files = sorted(self.outputs.glob("sweeps/near_dupls/submits/*.json"))
        return [json.loads(file.read_text()) for file in files if not file.name.endswith(".jobs.json")]

    def jobs(self) -> tuple[str, ...]:
        """How the names of the sweep's jobs begin."""
        return tuple(f"tessera-{submit['id']}-" for submit in self.submits())

    def elements(self) -> dict[tuple[str, int], str]:
        """(array name, index) -> digest."""
        arrays = [array for submit in self.submits() for array in submit["arrays"]]
        return {(array["name"], i): digest for array in arrays for i, digest in enumerate(array["digests"])}

    def starts(self) -> list[tuple[str, str]]:
        """(digest, state) of every start of a task, by SLURM's accounting."""
        elements = self.elements()
        rows = [(row["name"], int(row["job"].partition("_")[2] or 0), row) for row in self.accounting()]
        return [(elements[name, index], row["state"]) for name, index, row in rows if (name, index) in elements]

    def accounting(self) -> list[dict[str, str]]:
        return self.cluster.accounting(self.jobs())

    def running(self, stage: str) -> list[dict[str, str]]:
        """The running elements of a stage."""
        stages = {digest: task["stage"] for submit in self.submits() for digest, task in submit["tasks"].items()}
        elements = self.elements()
        rows = [row for row in self.cluster.queue(self.jobs()) if row["state"] == "RUNNING"]
        keys = [(row["name"], int(row["job"].partition("_")[2] or 0)) for row in rows]
        return [row for key, row in zip(keys, rows) if stages.get(elements.get(key, "")) == stage]

    def tables(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.outputs.glob("sweeps/near_dupls/tables/*")}

    def attempts(self) -> list[list[str]]:
        """The outcomes of every artifact's attempts, in order."""
        folders = sorted(self.outputs.glob("store/*/*/attempts"))
        files = [sorted(folder.glob("*.json")) for folder in folders]
        return [[json.loads(file.read_text())["outcome"] for file in some] for some in files]


@pytest.fixture(scope="module")
def undisturbed(site: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    site.reset()
    smoke = Smoke(tmp_path_factory.mktemp("undisturbed"), site)
    smoke.submit()
    smoke.finish()
    return smoke


def test_tasks_with_equal_needs_run_as_arrays_each_once(undisturbed: Smoke) -> None:
    starts = undisturbed.starts()
    assert {state for _, state in starts} == {"COMPLETED"}
    assert set(Counter(digest for digest, _ in starts).values()) == {1}
    assert {digest for digest, _ in starts} == set(undisturbed.submits()[0]["tasks"])
    ids = {name: set() for name, _ in undisturbed.elements()}
    for row in undisturbed.accounting():
        ids.get(row["name"], set()).add(row["job"].partition("_")[0])
    assert {len(found) for found in ids.values()} == {1}  # one job id an array
    assert max(Counter(name for name, _ in undisturbed.elements()).values()) >= 3


def test_the_same_command_again_submits_nothing(undisturbed: Smoke) -> None:
    before, tables = len(undisturbed.accounting()), undisturbed.tables()
    undisturbed.submit()
    assert not undisturbed.cluster.queue()
    assert len(undisturbed.accounting()) == before
    assert undisturbed.tables() == tables


def test_a_kill_a_lost_node_and_a_preemption_leave_the_same_tables(undisturbed: Smoke, cluster, tmp_path) -> None:
    smoke = Smoke(tmp_path / "disturbed", cluster)
    cluster.node("n1,n2", "drain")
    smoke.submit()
    _slow_down_writes(smoke)
    cluster.resume()
    _kill_while_writing(smoke)
    _lose_node(smoke, "finetune")
    _preempt(smoke, "membership")
    smoke.finish()
    smoke.submit()
    smoke.finish()

    states = Counter(state for _, state in smoke.starts())
    assert states["FAILED"] >= 1
    assert states["NODE_FAIL"] >= 1
    assert states["PREEMPTED"] >= 1
    completed = Counter(digest for digest, state in smoke.starts() if state == "COMPLETED")
    assert set(completed.values()) == {1}
    assert all(outcomes.count("done") == 1 and outcomes[-1] == "done" for outcomes in smoke.attempts())
    assert smoke.tables() == undisturbed.tables()


def _slow_down_writes(smoke: Smoke) -> None:
    """Have the queued code pause between writing a result and giving it its name, to be killed there."""
    (file,) = smoke.outputs.glob("snapshots/*/lib/hdf5.py")
    text = file.read_text()
    pause = "    if path.suffix == '.h5':\n        __import__('time').sleep(0.5)\n"
    assert text.count("    sync(temporary)\n") == 1
    file.write_text(text.replace("    sync(temporary)\n", pause + "    sync(temporary)\n"))


def _kill_while_writing(smoke: Smoke) -> None:
    """SIGKILL a stage that has written a result and not yet named it."""
    pattern = "store/*/*/.tmp-*-*.h5"
    wait_for(lambda: any(smoke.outputs.glob(pattern)), "a result being written", poll=0.05)
    private = next(smoke.outputs.glob(pattern))
    os.kill(int(private.name.split("-")[-2]), signal.SIGKILL)
    assert private.exists()


def _lose_node(smoke: Smoke, stage: str) -> None:
    """Take a node down under a running task, and bring it back once SLURM has given the task away."""
    wait_for(lambda: bool(smoke.running(stage)), f"a running {stage}", SWEEP_SECONDS, poll=0.2)
    smoke.cluster.node(smoke.running(stage)[0]["node"], "down")
    wait_for(lambda: "NODE_FAIL" in {state for _, state in smoke.starts()}, "NODE_FAIL in the accounting", poll=0.3)
    smoke.cluster.resume()


def _preempt(smoke: Smoke, stage: str) -> None:
    """Push a running task aside with a job of the higher partition."""
    wait_for(lambda: bool(smoke.running(stage)), f"a running {stage}", SWEEP_SECONDS, poll=0.2)
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"]
    smoke.cluster.ask(*urgent)
    wait_for(lambda: "PREEMPTED" in {state for _, state in smoke.starts()}, "PREEMPTED in the accounting", poll=0.3)
