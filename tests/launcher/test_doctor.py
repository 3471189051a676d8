from lib.launcher import doctor, hub_needs
from lib.models import hub_fetch, mamba_scan
from lib.plans import documents, expansion
from lib.running.site import Cluster, LoginNode
from tests.support import tiny_hub


def test_missing_mamba_kernels_come_with_the_way_to_install_them(monkeypatch):
    monkeypatch.setattr(mamba_scan, "missing_kernels", lambda: ["mamba_ssm"])
    finding = doctor._mamba_kernels()
    assert (finding.level, finding.remedy) == ("warn", mamba_scan.REMEDY)
    assert "mamba_ssm missing" in finding.what
    monkeypatch.setattr(mamba_scan, "missing_kernels", list)
    assert doctor._mamba_kernels().level == "ok"


def test_the_hub_is_reported_by_what_is_left_to_fetch(hub_server, tiny_tokenizer):
    plan = expansion.expand(documents.read("prefix_sizes", "paper", ["models=[pythia-160m]"]), "paper")
    items = hub_needs.items(plan)
    tiny_hub.publish(hub_server, items[:-1], tiny_tokenizer)
    *found, absent = list(doctor._hub(plan))[1:]
    assert [finding.level for finding in found] == ["ok"] * (len(items) - 1)
    assert all("to fetch: " in finding.what for finding in found)
    assert (absent.level, "not on the hub, or private" in absent.remedy) == ("fail", True)
    hub_fetch.fetch(items[:-1])
    assert all(finding.what.endswith("in the cache") for finding in list(doctor._hub(plan))[1:-1])


def test_where_tasks_that_need_the_network_run_is_said():
    settings = [
        "paraphrasers=[gpt]", "nodes.paraphrases.inputs.model=null", "nodes.paraphrases.config.source=endpoint",
        "nodes.paraphrases.config.url=https://host/v1", "nodes.paraphrases.config.model_name=x",
        "nodes.paraphrases.config.top_k=0", "seeds=[1]",
    ]  # fmt: skip
    plan = expansion.expand(documents.read("paraphrases", "paper", settings), "paper")
    (login,) = doctor._network(plan, Cluster("c", login_node=LoginNode(2, 8.0)))
    (partition,) = doctor._network(plan, Cluster("c", network_partition="dtn"))
    assert login.what == "network: 1 tasks need it and run on this login node"
    assert partition.what == "network: 1 tasks need it and run on partition dtn"
    assert list(doctor._network(plan, None)) == []
