"""What doctor says of SLURM; its answers are functions here, the lines of set-up run in a shell."""

from dataclasses import replace

import pytest

from lib.launcher import doctor_slurm
from lib.launcher.finding import Finding
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import slurm
from lib.running.site import Cluster

FILE = "/home/me/c.yaml"
CLUSTER = Cluster("c", "cpu", "a100", "mine", "mine-gpu", network_partition="dtn", file=FILE)


def plan(**asked) -> Plan:
    task = Task("0123456789ab", "count", 1, "", "count", {}, {}, Resources(**asked))
    return Plan("s", "paper", "", "s", {task.digest: task}, [])


def levels(findings) -> dict[str, str]:
    return {finding.what: finding.level for finding in findings}


def test_only_partitions_that_tasks_need_must_exist_and_their_order_is_fixed(monkeypatch) -> None:
    monkeypatch.setattr(slurm, "partitions", lambda: ["cpu"])
    found = {
        needs: list(levels(doctor_slurm._partitions(one, CLUSTER)).items())
        for needs, one in {"any": None, "cpu": plan(), "gpu": plan(gpus=1), "network": plan(network=True)}.items()
    }
    cpu, gpu, network = ("partition cpu", "ok"), ("partition a100", "fail"), ("partition dtn", "fail")
    assert found == {"any": [cpu, gpu, network], "cpu": [cpu], "gpu": [cpu, gpu], "network": [cpu, network]}
    *_, last = doctor_slurm._partitions(None, CLUSTER)
    assert last.remedy == f"set network_partition in {FILE} to one of: cpu"


@pytest.mark.parametrize(("enforced", "level"), [("associations,limits,qos", "fail"), ("none", "warn")])
def test_accounts_and_qos_are_compared_with_the_accounting(monkeypatch, enforced: str, level: str) -> None:
    answers = {
        "sacctmgr": ["Mine|normal,high", "other|normal"],
        "scontrol": ["Configuration data as of 2026-01-01T00:00:00", f"AccountingStorageEnforce = {enforced}"],
    }
    monkeypatch.setattr(slurm, "_ask", lambda command: answers[command[0]])
    found = list(doctor_slurm._associations(plan(gpus=1), replace(CLUSTER, account="MINE", qos="low")))
    assert levels(found) == {"account MINE": "ok", "account mine-gpu": level, "qos low": level}
    assert [one.remedy for one in found[1:]] == [
        f"set gpu_account in {FILE} to one of: mine, other",
        f"set qos in {FILE} to one of: high, normal",
    ]
    assert levels(doctor_slurm._associations(plan(), CLUSTER)) == {"account mine": "ok"}


def test_without_accounting_nothing_is_said_to_be_right(monkeypatch) -> None:
    def missing(command: list[str]) -> list[str]:
        raise slurm.SchedulerUnavailable("sacctmgr is not found here")

    monkeypatch.setattr(slurm, "_ask", missing)
    (found,) = doctor_slurm._associations(None, CLUSTER)
    assert (found.level, "sacctmgr is not found" in found.what) == ("warn", True)
    (default,) = doctor_slurm._associations(None, Cluster("c"))
    assert default == Finding("ok", "account: the site's default")


@pytest.mark.parametrize(
    ("lines", "level", "said"),
    [
        (["export A=1", 'if [ -n "$A" ]; then', "true", "fi"], "ok", ""),
        (["module() { return 1; }", "module purge", "true"], "warn", "setup: return 1: ended with 1"),
        (["no-such-program load cuda", "true"], "fail", "no-such-program load cuda: ended with 127"),
        (["exit 3"], "fail", "they end with 3"),
    ],
)
def test_lines_of_set_up_are_run(lines: list[str], level: str, said: str) -> None:
    (found,) = doctor_slurm._setup(replace(CLUSTER, setup=tuple(lines)))
    assert found.level == level
    assert said in found.what
    assert FILE in found.remedy or level == "ok"
