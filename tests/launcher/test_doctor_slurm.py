"""What doctor says of SLURM; its answers are functions here, the lines of set-up run in a shell."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lib.launcher import doctor_slurm
from lib.launcher.finding import Finding
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import batch, environment, slurm
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


KINDS = ["a task", "an MPI task", "a task with a GPU", "a controller"]
MIXED = {
    "cpu": Resources(cpus=2, hours=3),
    "more": Resources(cpus=8, hours=1),
    "mpi": Resources(ranks=4, mpi=True),
    "gpu": Resources(gpus=2),
}


def tried(monkeypatch, site: Cluster, refused: str, answer: str, one: Plan | None = None) -> tuple[list[Finding], str]:
    """What doctor finds where sbatch refuses scripts with a text, and all scripts that it was shown."""
    shown: list[str] = []

    def sbatch(line: Sequence[str], *_: object) -> subprocess.CompletedProcess[str]:
        assert line[:2] == ["sbatch", "--test-only"]
        shown.append(Path(line[2]).read_text())
        if refused in shown[-1]:
            return subprocess.CompletedProcess(line, 1, "", f"allocation failure: {answer}\n")
        return subprocess.CompletedProcess(line, 0, "", "sbatch: Job 7 to start at noon\n")

    monkeypatch.setattr(environment, "answer", sbatch)
    monkeypatch.setattr(shutil, "which", lambda command: command)
    monkeypatch.setattr(slurm, "partitions", lambda: ["cpu"])
    return list(doctor_slurm._tried(one, site)), "".join(shown)


RESERVED, EXCLUDED = {"sbatch": {"reservation": "spring"}}, {"gpu_sbatch": {"exclude": "n7"}}
MAIL, NO_MAIL = {"sbatch": {"mail_type": "SOME"}}, "Invalid --mail-type specification"
GRES, NO_GRES = {"gres": "gpu:b7:{gpus}"}, "Invalid generic resource (gres) specification"


@pytest.mark.parametrize(
    ("keys", "refused", "answer", "kinds", "key"),
    [
        (RESERVED, "=spring", "Requested reservation is invalid", KINDS, "`reservation` under `sbatch`"),
        (EXCLUDED, "exclude=n7", "Invalid node name specified", ["a task with a GPU"], "`exclude`"),
        (GRES, "gpu:b7:1", NO_GRES, ["a task with a GPU"], "`gres`"),
        (MAIL, "mail-type=SOME", NO_MAIL, ["a controller"], "`sbatch`"),
        ({"max_hours": 0.5}, "time=60", "Requested time limit is invalid", [], ""),
    ],
)
def test_sbatch_tries_a_job_of_each_kind_with_all_options(monkeypatch, keys, refused, answer, kinds, key) -> None:
    found, _ = tried(monkeypatch, replace(CLUSTER, **keys), refused, answer)
    bad, good = f"sbatch refused {{}}: {answer}", "sbatch would take {}: Job 7 to start at noon"
    assert [one.what for one in found] == [(bad if kind in kinds else good).format(kind) for kind in KINDS]
    assert [one.level for one in found] == ["fail" if kind in kinds else "ok" for kind in KINDS]
    assert all(one.remedy.startswith(f"check {key}") and FILE in one.remedy for one in found if one.level == "fail")


def test_of_a_sweep_its_largest_tasks_are_tried_and_a_limit_is_no_failure(monkeypatch) -> None:
    tasks = {name: Task(name, "s", 1, "", name, {}, {}, one) for name, one in MIXED.items()}
    plan, limit = Plan("s", "p", "", "", tasks, []), "QOSMaxSubmitJobPerUserLimit"
    found, scripts = tried(monkeypatch, CLUSTER, "cpus-per-task=8", limit, plan)
    assert [one.level for one in found] == ["warn", "ok", "ok", "ok"]
    assert limit in found[0].what
    assert "ntasks-per-node=4" in scripts
    assert "gpus-per-node=2" in scripts
    assert "dependency" not in scripts


def test_sbatch_that_does_not_answer_is_no_failure(monkeypatch) -> None:
    def silent(*_: object) -> None:
        raise batch.Unanswered("sbatch a task: no answer in 300 s")

    monkeypatch.setattr(batch, "tried", silent)
    monkeypatch.setattr(shutil, "which", lambda command: command)
    assert {one.level for one in doctor_slurm._tried(None, CLUSTER)} == {"warn"}
