"""The smoke sweep through `make` on a real cluster: undisturbed, then with a kill, a lost node and a preemption."""

import os
import signal
from collections import Counter

import pytest

from tests.slurm.conftest import Cluster
from tests.slurm.smoke import SWEEP_SECONDS, Smoke, slow_checkout
from tests.support.toys import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


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
    smoke = Smoke(tmp_path / "disturbed", cluster, root=slow_checkout(tmp_path / "checkout"))
    smoke.submit()
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
