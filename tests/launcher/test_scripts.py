"""The batch scripts that a plan shows, on a machine without SLURM."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lib.base.errors import UsageError
from lib.launcher import scripts
from lib.plans import documents, expansion
from lib.plans.plan import Plan
from lib.running import site
from lib.running.site import LoginNode

EXAMPLE = site.read(site.FOLDER / "example-a100.yaml")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return expansion.expand(documents.read("near_dupls", "paper", ["seeds=[1]"]), "paper")


def shown(plan: Plan, root: Path, monkeypatch, done=(), cluster=EXAMPLE) -> str:
    monkeypatch.setenv("PATH", str(root))
    console = Console(file=io.StringIO(), width=80)
    scripts.show(plan, cluster, root, done, console)
    return console.file.getvalue()


def test_every_kind_of_task_has_one_script_and_the_controller_too(plan: Plan, tmp_path: Path, monkeypatch) -> None:
    text = shown(plan, tmp_path, monkeypatch)
    kinds = {replace(task.resources, expected_hours=0.0) for task in plan.tasks.values()}
    assert text.count("#!/bin/bash\n") == len(kinds) + 1
    headings = re.findall(r"^(\d+) tasks? \((.*)\), at most", text, flags=re.MULTILINE)
    assert sum(int(count) for count, _ in headings) == len(plan.tasks)
    named = dict(re.fullmatch(r"(\S+) (\d+)", word).groups() for _, nodes in headings for word in nodes.split(", "))
    assert {node: int(count) for node, count in named.items()} == {
        node: sum(task.node == node for task in plan.tasks.values()) for node in {t.node for t in plan.tasks.values()}
    }
    assert "scontrol is not found here; arrays of at most 1001 tasks" in text.replace("\n", " ")
    assert "#SBATCH --gres=gpu:a100:1\n" in text
    assert text.count("#SBATCH --dependency=afterany:IDS_OF_THE_ARRAYS\n") == 1
    assert f"#SBATCH --output={tmp_path}/sweeps/{plan.run}/submits/PLAN/%j_0_log.out\n" in text  # not broken at 80
    small = shown(plan, tmp_path, monkeypatch, cluster=replace(EXAMPLE, max_array_size=4))
    assert max(int(last) for last in re.findall(r"--array=0-(\d+)%", small)) == 3
    assert "scontrol" not in small


def test_what_is_done_or_has_no_script_is_left_out(plan: Plan, tmp_path: Path, monkeypatch) -> None:
    assert shown(plan, tmp_path, monkeypatch, done=set(plan.tasks)).count("#!/bin/bash") == 0
    first, *others = plan.tasks
    network = replace(plan.tasks[first], resources=replace(plan.tasks[first].resources, network=True))
    there = replace(plan, tasks={**plan.tasks, first: network})
    text = shown(there, tmp_path, monkeypatch, set(others), replace(EXAMPLE, login_node=LoginNode(2, 8.0)))
    assert f"1 task ({network.node} 1) on the login node, without a script" in text
    assert "#!/bin/bash" not in text
    with pytest.raises(UsageError, match="--cluster"):
        scripts.needed(None)
