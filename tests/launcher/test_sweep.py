"""What the launcher reads before it plans."""

from argparse import Namespace

import pytest

from lib.base import places
from lib.base.errors import UsageError
from lib.costs import devices
from lib.launcher import sweep
from lib.plans.costing import Cost
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running.site import Cluster


def test_a_damaged_lock_of_the_hub_stops_no_command(tmp_path, capsys) -> None:
    places.hub_lock(tmp_path).write_text('{"model a/b at main": 1}')
    asked = {"sweep": "prefix_sizes", "profile": "smoke", "cluster": "local", "settings": [], "quiet": False}
    assert sweep.load(Namespace(**asked, outputs=tmp_path)).plan.tasks
    assert "hub.lock.json: damaged" in capsys.readouterr().err


def test_all_that_a_cluster_does_not_have_is_said_at_once_a_line_for_each_node_and_key() -> None:
    asked = {
        "small": Resources(hours=1),
        "large": Resources(cpus=80, hours=30),
        "larger": Resources(cpus=96, hours=10),
        "web": Resources(network=True),
        "card": Resources(gpus=1),
    }
    nodes = {"larger": "large"}  # of two tasks of a node the one that asks for more is named
    tasks = {name: Task(name, "s", 1, "", nodes.get(name, name), {}, {}, one) for name, one in asked.items()}
    costs = {name: Cost(gpu_gb=200 if name == "card" else 0) for name in tasks}
    site = Cluster("c", max_hours=20, cpus_per_node=64, gpus_per_node=0, gpu="A100-80GB", file="/c.yaml")
    with pytest.raises(UsageError) as raised:
        sweep._check_room(Plan("s", "p", "", "", tasks, [], costs), site, devices.find("A100-80GB", ""))
    found = [line.removeprefix("node ").replace(" (stage s)", "") for line in str(raised.value).splitlines()]
    begins = [
        "large: resources: cpus 96 is more than cluster 'c' has (cpus_per_node 64)",
        "large: resources: hours 30 is more",
        "web: the task needs the network, and cluster 'c' does not say where",
        "card: resources: gpus 1 is more than cluster 'c' has (gpus_per_node 0)",
        "card: needs 200 GB of GPU memory (computed), but A100-80GB has 85 GB",
    ]
    assert [line[: len(begin)] for line, begin in zip(found, begins, strict=True)] == begins
