"""Tasks that need the network, on the fake SLURM: a partition that has one, the login node, or neither."""

import json
import os
from pathlib import Path

import pytest

from lib.base.errors import UsageError
from lib.plans import documents, expansion
from lib.plans.resources import Resources
from lib.running import batch
from lib.running import site as sites
from lib.running.site import Cluster, LoginNode
from tests.support import toys
from tests.support.toys import Toy, expected, wait_for

NEEDED = "def network(config):\n    return True\n\n\ndef run("


@pytest.fixture
def toy(tmp_path: Path):
    """A toy whose totals need the network, on a fake SLURM."""
    toy = toys.make(tmp_path / "checkout")
    root = tmp_path / "site"
    (root / "faults").mkdir(parents=True)
    toy.environment |= {"FAKE_SLURM": str(root), "PATH": f"{toys.FAKES}:{os.environ['PATH']}"}
    need_network(toy, "total")
    yield toy
    wait_for(lambda: not live(toy), "the end of all fake jobs")


def need_network(toy: Toy, stage: str) -> None:
    file = toy.root / "jobs" / "toy" / f"{stage}.py"
    toys.edit(file, "def run(", NEEDED)


def cluster(toy: Toy, line: str) -> None:
    file = toy.root / "env" / "clusters" / "toy.yaml"
    file.write_text(f"{file.read_text()}partition: cpu\n{line}\n")


def jobs(toy: Toy) -> list[dict]:
    files = Path(toy.environment["FAKE_SLURM"]).glob("jobs/*/job.json")
    return sorted((json.loads(file.read_text()) for file in files), key=lambda job: job["id"])


def live(toy: Toy) -> bool:
    states = Path(toy.environment["FAKE_SLURM"]).glob("jobs/*/*.state")
    return any(file.read_text() in ("PENDING", "RUNNING") for file in states)


@pytest.mark.parametrize("command", ["plan", "submit"])
def test_a_cluster_without_a_place_for_them_is_refused_before_anything_is_queued(toy: Toy, command: str) -> None:
    cluster(toy, "")
    answer = toy.launch(command)
    assert answer.returncode == 2
    assert "node total: the task needs the network, and cluster 'toy' does not say where" in answer.stderr
    assert "set network_partition" in answer.stderr
    assert not jobs(toy)


def test_they_go_to_the_partition_with_a_network_and_the_others_do_not(toy: Toy) -> None:
    cluster(toy, "network_partition: dtn")
    toy.submit()
    assert toy.finish() == expected(1, 2, 3)
    wait_for(lambda: not live(toy), "the end of the controller")
    arrays = [job["partition"] for job in jobs(toy) if not job["job-name"].endswith(".controller")]
    controllers = {job["partition"] for job in jobs(toy) if job["job-name"].endswith(".controller")}
    assert arrays == ["cpu", "dtn"]
    assert controllers == {"cpu"}


def test_the_login_node_runs_them_when_the_command_is_typed_again(toy: Toy) -> None:
    """Their inputs are made by jobs, whose controller cannot run them: it says so, and ends."""
    cluster(toy, "login_node: {cpus: 1, memory_gb: 2}")
    toy.submit()
    wait_for(lambda: not live(toy), "the end of the controller")
    assert not toy.table.exists()
    assert len(jobs(toy)) == 2  # an array and its controller
    again = toy.submit()
    assert "3 tasks need the network and run on this login node" in again.stdout
    assert toy.totals() == expected(1, 2, 3)
    assert len(jobs(toy)) == 2


def test_their_inputs_may_have_inputs_of_their_own(toy: Toy) -> None:
    """As the canaries that an endpoint rephrases: only the task and what it reads are planned on the login node."""
    cluster(toy, "login_node: {cpus: 1, memory_gb: 2}")
    stages, sweep = toy.root / "jobs" / "toy", toy.root / "sweeps" / "toy.yaml"
    same = toys.TOTAL.replace("    total =", "    rows =").replace(".sum()", "").replace("total.h5", "count.h5")
    (stages / "same.py").write_text(same.replace('"total", total', '"rows", rows'))
    nodes = "  same: {stage: same, inputs: {count: count}}\n  total: {stage: total, inputs: {count: same}}\n"
    toys.edit(sweep, "  total: {stage: total, inputs: {count: count}}\n", nodes)
    toy.submit()
    wait_for(lambda: not live(toy), "the end of the controllers")
    toy.submit()
    assert toy.totals() == expected(1, 2, 3)


def test_what_still_needs_the_login_node_is_said(toy: Toy) -> None:
    cluster(toy, "login_node: {cpus: 1, memory_gb: 2}")
    need_network(toy, "count")
    done = toy.submit()
    assert "3 tasks need the network and run on this login node" in done.stdout
    assert "3 tasks need the network and run on the login node: type the same command there again" in done.stdout
    assert "a controller job" not in done.stdout
    assert not jobs(toy)
    assert len(toy.attempts("count")) == 3
    toy.submit()
    assert toy.totals() == expected(1, 2, 3)


def test_the_login_node_is_used_within_the_stated_cpus(toy: Toy) -> None:
    """A task sees as many CPUs as the cluster file allows, and no two run at a time."""
    cluster(toy, "login_node: {cpus: 1, memory_gb: 2}")
    need_network(toy, "count")
    file = toy.root / "jobs" / "toy" / "count.py"
    shown = "    import os\n    print('cpus', len(os.sched_getaffinity(0)))\n    with hdf5.create("
    toys.edit(file, "    with hdf5.create(", shown)
    toy.submit()
    logs = [log.read_text() for log in toy.outputs.glob("store/count/*/attempts/*.log")]
    assert len(logs) == 3
    assert all("cpus 1\n" in log for log in logs)


def test_a_failure_on_the_login_node_submits_nothing(toy: Toy) -> None:
    cluster(toy, "login_node: {cpus: 1, memory_gb: 2}")
    need_network(toy, "count")
    file = toy.root / "jobs" / "toy" / "count.py"
    toys.edit(file, "    with hdf5.create(", "    raise OSError('no answer')\n    with hdf5.create(")
    answer = toy.launch("submit", "--set=numbers=[1]")
    assert answer.returncode == 1
    assert "1 task failed on the login node; nothing was submitted" in answer.stderr
    assert not jobs(toy)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cpus": 3}, "cpus 3 is more than login_node of cluster 'c' allows"),
        ({"memory_gb": 9.0}, "memory_gb 9.0 is more"),
        ({"gpus": 1}, "gpus 1 is more"),
    ],
)
def test_a_task_too_large_for_the_login_node_is_refused(asked: dict, message: str) -> None:
    resources = Resources(**asked, network=True)
    (found,) = sites.excesses(resources, Cluster("c", login_node=LoginNode(2, 8.0)), "node x")
    assert message in found.text
    assert not [*sites.excesses(resources, Cluster("c", network_partition="dtn", login_node=LoginNode(2, 8.0)), "x")]


def test_the_login_node_is_read_from_the_cluster_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("login_node: {cpus: 2, memory_gb: 8}\nnetwork_partition: null\n")
    assert sites.read(tmp_path / "c.yaml").login_node == LoginNode(2, 8.0)
    (tmp_path / "c.yaml").write_text("login_node: {cpu: 2, memory_gb: 8}\n")
    with pytest.raises(UsageError, match="login_node: unknown key 'cpu'"):
        sites.read(tmp_path / "c.yaml")


def test_a_line_for_the_partition_with_a_network_can_be_typed() -> None:
    line = batch.interactive(Cluster("c", network_partition="dtn", account="a"), ["launch.py", "--set=x=[1, 2]"])
    assert line == "srun --partition=dtn --account=a --cpus-per-task=2 launch.py '--set=x=[1, 2]'"


def test_paraphrases_of_an_endpoint_need_the_network_and_those_of_a_model_do_not() -> None:
    endpoint = ["paraphrasers=[gpt]", "nodes.paraphrases.inputs.model=null", "nodes.paraphrases.config.source=endpoint",
                "nodes.paraphrases.config.url=https://host/v1", "nodes.paraphrases.config.model_name=x",
                "nodes.paraphrases.config.top_k=0"]  # fmt: skip
    for settings, wanted in (([], set()), (endpoint, {"paraphrases"})):
        plan = expansion.expand(documents.read("paraphrases", "paper", settings), "paper")
        assert {task.stage for task in plan.tasks.values() if task.resources.network} == wanted
