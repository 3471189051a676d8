"""The loop without SLURM: what is killed at any level is resumed by the same command, nothing is done twice."""

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.plans import plan as plans
from lib.plans.resources import Resources
from lib.running import local
from tests.support import toys
from tests.support.toys import Toy, expected, wait_for


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toys.make(tmp_path / "checkout")


def start(toy: Toy, *flags: str) -> subprocess.Popen:
    line = [sys.executable, "launch.py", "submit", "toy", "--profile=laptop", "--cluster=local", *flags]
    return subprocess.Popen(line, cwd=toy.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def running_counts(toy: Toy) -> list[int]:
    """The process ids of `count` stages that have begun and not ended."""
    files = (toy.outputs / "store" / "count").glob("*/attempts/[0-9]*.json")
    records = [json.loads(file.read_text()) for file in files]
    return [record["pid"] for record in records if record["outcome"] == "running"]


def test_it_runs_to_the_table_and_again_does_nothing(toy: Toy) -> None:
    told = toy.root / "told"
    first = toy.submit("--cluster=local", f"--notify=sh -c 'echo $TESSERA_MESSAGE >> {told}'")
    assert "6 tasks took " in first.stdout
    assert told.read_text() == "toy: done, 6 of 6 tasks done\n"
    assert toy.totals() == expected(1, 2, 3)
    before = {stage: toy.attempts(stage) for stage in ("count", "total")}
    toy.submit("--cluster=local")
    assert {stage: toy.attempts(stage) for stage in ("count", "total")} == before
    assert all(outcomes == ["done"] for found in before.values() for outcomes in found.values())


def test_the_longest_ready_task_starts_first(toy: Toy) -> None:
    sweep = toy.root / "sweeps" / "toy.yaml"
    alone = '{stage: count, resources: {expected_hours: "${number}", cpus: 4096}, '
    toys.edit(sweep, "{stage: count, ", alone)
    toy.submit("--cluster=local")
    files = toy.outputs.glob("store/count/*/attempts/[0-9]*.json")
    started = sorted((json.loads(file.read_text())["started"], file.parent.parent) for file in files)
    numbers = [json.loads((folder / "task.json").read_text())["number"] for _, folder in started]
    assert numbers == [3, 2, 1]


def test_a_stage_killed_in_the_middle_of_writing_fails_the_run_and_is_resumed(toy: Toy) -> None:
    launcher = start(toy, "--set=seconds=3")
    wait_for(lambda: running_counts(toy), "a running stage")
    os.kill(running_counts(toy)[0], signal.SIGKILL)
    output, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 1
    assert "killed" in output
    assert not toy.table.exists()
    toy.submit("--cluster=local", "--set=seconds=0")
    assert toy.totals() == expected(1, 2, 3)
    assert sorted(len(outcomes) for outcomes in toy.attempts("count").values()) == [1, 1, 2]


def test_a_second_launch_at_the_same_time_is_refused(toy: Toy) -> None:
    launcher = start(toy, "--set=seconds=5")
    wait_for(lambda: running_counts(toy), "a running stage")
    second = toy.launch("submit", "--cluster=local")
    assert second.returncode == 1
    assert "is held by process" in second.stderr
    launcher.communicate(timeout=120)
    assert toy.totals() == expected(1, 2, 3)


def test_the_checkout_broken_after_the_start_changes_nothing(toy: Toy) -> None:
    launcher = start(toy, "--set=seconds=3")
    wait_for(lambda: running_counts(toy), "a running stage")
    for file in [*toy.root.glob("lib/**/*.py"), *toy.root.glob("jobs/**/*.py"), *toy.root.glob("sweeps/**/*.yaml")]:
        file.write_text("this is : no code [")
    output, errors = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, output + errors
    assert "the code that ran makes the tables" in output
    assert toy.totals() == expected(1, 2, 3)


def test_a_runner_that_fails_before_the_stage_says_why_and_where(toy: Toy) -> None:
    runner = toy.root / "lib/running/runner.py"
    toys.edit(runner, "    number, log = attempts.reserve(", "    raise OSError('no such disk')\n    number, log = (")
    found = toy.launch("submit", "--cluster=local", "--set=numbers=[1]")
    assert found.returncode == 1
    line, log = found.stdout[found.stdout.index("failed") :].splitlines()[:2]
    assert line.endswith("its runner ended: error: no such disk")
    assert Path(log.split("log: ")[1]).read_text() == "error: no such disk\n"


def test_of_an_enclosing_job_and_the_users_shell_a_task_sees_what_is_documented(toy: Toy) -> None:
    around = {"SLURM_JOB_ID": "7", "PMIX_RANK": "1", "RANK": "1", "OMP_NUM_THREADS": "64", "PYTHONHASHSEED": "1"}
    toy.environment |= {**around, "HF_HOME": "/models", "PYTHONPATH": str(toy.root / "nowhere")}
    count = toy.root / "jobs/toy/count.py"
    line = 'import os, pathlib; pathlib.Path(out / "seen.txt").write_text(repr(dict(os.environ)))'
    toys.edit(count, toys.RUN, f"{toys.RUN}    {line}\n")
    toy.submit("--cluster=local", "--set=numbers=[1]")
    (file,) = toy.outputs.glob("store/count/*/seen.txt")
    seen = ast.literal_eval(file.read_text())
    assert {key: seen.get(key) for key in around} == {**dict.fromkeys(around), "OMP_NUM_THREADS": "1"}
    assert (seen["HF_HOME"], seen["HF_HUB_OFFLINE"], Path(seen["PYTHONPATH"]).parent.name) == (
        "/models",
        "1",
        "snapshots",
    )
    (record,) = toy.outputs.glob("store/count/*/attempts/[0-9]*.json")
    assert json.loads(record.read_text())["job"] is None


def test_an_edit_that_finds_nothing_to_replace_is_an_error(tmp_path: Path) -> None:
    """Else a test that breaks code on purpose would run unbroken code once the code has changed."""
    file = tmp_path / "code.py"
    file.write_text("a = 1\n")
    toys.edit(file, "a = 1", "a = 2")
    assert file.read_text() == "a = 2\n"
    with pytest.raises(ValueError, match="has no 'a = 1' to replace"):
        toys.edit(file, "a = 1", "a = 3")


def test_tasks_of_one_label_are_told_apart() -> None:
    def task(digest: str, label: str, **values) -> plans.Task:
        return plans.Task(digest, "tokenize", 1, label, "tokens", values, {}, Resources())

    several = [task("a" * 12, "c8", chunk=0, chunks=8), task("b" * 12, "c8", chunk=1, chunks=8), task("c" * 12, "c2")]
    assert list(local.apart(several).values()) == ["c8 chunk 0", "c8 chunk 1", "c2"]
    alike = [task("a" * 12, "s1", seed=1), task("b" * 12, "s1", seed=1)]
    assert list(local.apart(alike).values()) == ["s1 aaaaaa", "s1 bbbbbb"]
