import io
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lib.base.errors import TesseraError
from lib.launcher import doctor, doctor_room, hub_needs, sweep
from lib.launcher.finding import Finding
from lib.models import hub_fetch
from lib.plans import documents, expansion
from lib.running.site import Cluster, LoginNode
from tests.support import tiny_hub


def test_the_hub_is_reported_by_what_is_left_to_fetch(hub_server, tiny_tokenizer, tmp_path):
    plan = expansion.expand(documents.read("prefix_sizes", "paper", ["models=[pythia-160m]"]), "paper")
    items = hub_needs.items(plan)
    tiny_hub.publish(hub_server, items[:-1], tiny_tokenizer)
    *found, absent, room = list(doctor_room.hub(plan, set(), tmp_path, 1.0))[1:]
    assert [finding.level for finding in found] == ["ok"] * (len(items) - 1)
    assert all("to fetch: " in finding.what for finding in found)
    assert (absent.level, "not on the hub, or private" in absent.remedy) == ("fail", True)
    assert (room.level, "1 repositories are of unknown size" in room.what) == ("ok", True)
    hub_fetch.fetch(items[:-1])
    *cached, absent, room = list(doctor_room.hub(plan, set(), tmp_path, 1e9))[1:]
    assert all(finding.what.endswith("in the cache") for finding in cached)
    assert (room.level, "0.0 GB to fetch" in room.what) == ("fail", True)  # the outputs are on the same file system
    assert room.remedy.startswith("set OUTPUTS=")  # and they are what has no room
    assert [finding.what for finding in doctor_room.hub(plan, set(plan.tasks), tmp_path, 1.0)] == ["hub: not needed"]


def test_a_problem_of_several_repositories_is_said_once() -> None:
    down = "the hub cannot be reached (url: /api/models/{})"
    problems = [(repo, down.format(repo)) for repo in ("a/x", "b/y")]
    found = list(doctor_room._refused([*problems, ("c/z", "gated; ask for access")]))
    assert [one.what for one in found] == ["hub: a/x, b/y", "hub: c/z"]
    assert found[0].remedy == down.format("a/x")


@pytest.mark.parametrize(("free_gb", "level"), [(1e6, "ok"), (3000.0, "warn"), (78.0, "fail")])
def test_a_corpus_of_627_billion_tokens_needs_more_than_a_terabyte(tmp_path, monkeypatch, free_gb, level):
    """Its ids alone take 2 bytes each, 1254 GB, and the groups of its duplicates 1.5 a token."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("shutil.disk_usage", lambda place: Namespace(free=free_gb * 1e9))
    monkeypatch.setattr(doctor_room, "hub", lambda *given: iter(()))
    asked = Namespace(
        cluster="example-a100", outputs=tmp_path, profile="paper", settings=[], sweep="slimpajama", quiet=False
    )
    cost, disk = doctor_room.of_sweep(sweep.load(asked))
    assert disk.level == level
    assert float(disk.what.split("GB at the peak, ")[1].split()[0].replace(",", "")) > 1254 * 1.75
    assert cost.what.startswith("cost: 27 of 27 tasks to do, 1.1 task hours, 0 GPU hours")


def test_memory_of_the_largest_task_and_none_without_tasks():
    plan = expansion.expand(documents.read("near_dupls", "laptop", []), "laptop")
    most = max(task.resources.memory_gb or 0 for task in plan.tasks.values())
    assert doctor_room.memory(plan, plan.tasks, most).level == "ok"
    assert doctor_room.memory(plan, plan.tasks, most - 0.1).level == "fail"
    assert doctor_room.memory(plan, [], 0.0).level == "ok"


@pytest.mark.parametrize(
    ("system", "machine", "level"),
    [
        ("Linux", "x86_64", "ok"),
        ("Linux", "aarch64", "warn"),
        ("Darwin", "arm64", "fail"),
        ("Windows", "AMD64", "fail"),
    ],
)
def test_only_linux_is_accepted(system, machine, level):
    (finding,) = doctor._platform(system, machine)
    assert finding.level == level


def test_a_check_that_breaks_off_is_a_finding_and_the_others_go_on(tmp_path: Path, monkeypatch):
    def broken(*given) -> Iterator[Finding]:
        yield Finding("ok", "the first half")
        raise TesseraError("srun failed [1]")

    for name in ("_python", "_mpi", "_compiler"):
        monkeypatch.setattr(doctor, name, broken)
    monkeypatch.setattr(doctor.doctor_gpu, "of_sweep", broken)
    console = Console(file=io.StringIO(), width=200)
    assert doctor.run(None, None, tmp_path, console) == 1
    assert console.file.getvalue().count("FAIL a check broke off: srun failed [1]") == 4
    assert "write access" in console.file.getvalue()


def test_where_tasks_that_need_the_network_run_is_said():
    settings = [
        "paraphrasers=[gpt]", "nodes.paraphrases.inputs.model=null", "nodes.paraphrases.config.source=endpoint",
        "nodes.paraphrases.config.url=https://host/v1", "nodes.paraphrases.config.model_name=x",
        "nodes.paraphrases.config.top_k=0", "seeds=[1]",
    ]  # fmt: skip
    plan = expansion.expand(documents.read("paraphrases", "paper", settings), "paper")
    (login,) = doctor._network(plan, Cluster("c", login_node=LoginNode(2, 8.0)))
    (partition,) = doctor._network(plan, Cluster("c", network_partition="dtn"))
    assert login.what == "network: 1 task needs it and runs on this login node"
    assert partition.what == "network: 1 task needs it and runs on partition dtn"
    assert list(doctor._network(plan, None)) == []
