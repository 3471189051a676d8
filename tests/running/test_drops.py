"""Weights are dropped once every reader in every sweep is done, and made again for a new one: from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import finished
from lib.plans.plan import Leaf, Plan, Task
from lib.plans.resources import Resources
from lib.running import drops, runner, submissions, survey
from tests.running.test_submit import FakeSite
from tests.support import toys
from tests.support.toys import Toy, expected, wait_for

MORE = """
name: more
vars: {numbers: [1], keep: false}
nodes:
  count: {stage: count, config: {number: "${number}", keep_weights: "${keep}"}}
  square: {stage: square, inputs: {count: count}}
leaves: [{node: square, grid: {number: "${numbers}"}}]
"""
WEIGHTS = "model.safetensors"
ALONE = ("--cluster=local", "--set=keep=false")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """`count` also writes weights, which `total` needs; the sweep `more` has other readers of the same counts."""
    toy = toys.make(tmp_path / "checkout")
    jobs, sweeps = toy.root / "jobs" / "toy", toy.root / "sweeps"
    count = (jobs / "count.py").read_text()
    count = count.replace("    number: int\n", "    number: int\n    keep_weights: bool = execution(True)\n")
    (jobs / "count.py").write_text(f'{count}    (out / "{WEIGHTS}").write_text("weights" * 1000)\n')
    total = (jobs / "total.py").read_text()
    reads = f'def run(config, inputs, out):\n    store.find(inputs["count"], "{WEIGHTS}")\n'
    (jobs / "total.py").write_text(total.replace("def run(config, inputs, out):\n", reads))
    (jobs / "square.py").write_text((jobs / "total.py").read_text())
    sweep = (sweeps / "toy.yaml").read_text()
    sweep = sweep.replace("{numbers: [1, 2, 3], seconds: 0}", "{numbers: [1], seconds: 0, keep: true}")
    (sweeps / "toy.yaml").write_text(sweep.replace('"${seconds}"}', '"${seconds}", keep_weights: "${keep}"}'))
    (sweeps / "more.yaml").write_text(MORE)
    return toy


def more(toy: Toy, command: str = "submit", *flags: str) -> subprocess.CompletedProcess:
    line = [sys.executable, "launch.py", command, "more", "--profile=laptop", "--cluster=local", *flags]
    return subprocess.run(line, cwd=toy.root, env=toy.environment, capture_output=True, text=True, timeout=120)


def weights_left(toy: Toy) -> int:
    return len(list(toy.outputs.glob(f"store/count/*/{WEIGHTS}")))


def outcomes(toy: Toy, stage: str) -> list[list[str]]:
    return sorted(toy.attempts(stage).values())


def test_the_weights_go_and_nothing_is_made_anew(toy: Toy) -> None:
    toy.submit(*ALONE)
    assert (toy.totals(), weights_left(toy)) == (expected(1), 0)
    records = [json.loads(file.read_text()) for file in toy.outputs.glob(f"store/count/*/{places.DROPPED}")]
    assert [record["bytes"] for record in records] == [7000]
    toy.table.unlink()
    again = toy.submit(*ALONE)
    assert (toy.totals(), outcomes(toy, "count")) == (expected(1), [["done"]])
    assert "1 model were dropped" in again.stdout
    assert '"all_done": true' in toy.launch("status", "--json", *ALONE).stdout


def test_a_damaged_submit_file_keeps_weights_and_does_not_spoil_the_command(toy: Toy) -> None:
    toy.submit(*ALONE)
    toy.table.unlink()
    (count,) = (toy.outputs / "store" / "count").iterdir()
    damaged = places.submit_file(toy.outputs, "other", "0000")
    damaged.parent.mkdir(parents=True)
    damaged.write_text(f'{{"{count.name.rpartition("-")[2]}"')
    again = toy.submit(*ALONE)
    assert "0000.json: the submit file is damaged" in again.stdout.replace("\n", " ")
    assert "no weights are dropped" in again.stdout.replace("\n", " ")
    assert toy.totals() == expected(1)


def test_without_the_key_they_stay(toy: Toy) -> None:
    toy.submit("--cluster=local")
    assert weights_left(toy) == 1
    toy.submit(*ALONE)  # everything is done: the collection drops them
    assert weights_left(toy) == 0


def test_a_new_sweep_that_reads_them_makes_them_again_and_says_so(toy: Toy) -> None:
    toy.submit(*ALONE)
    plan = more(toy, "plan")
    assert "1 task (count) will run again because their weights were dropped" in plan.stdout
    assert more(toy).returncode == 0
    assert (outcomes(toy, "count"), weights_left(toy)) == ([["done", "done"]], 0)
    assert outcomes(toy, "square") == [["done"]]
    assert outcomes(toy, "total") == [["done"]]
    toy.submit(*ALONE)
    assert outcomes(toy, "count") == [["done", "done"]]


def test_a_submitted_sweep_that_is_not_done_holds_the_weights(toy: Toy) -> None:
    square = toy.root / "jobs" / "toy" / "square.py"
    good = square.read_text()
    square.write_text(
        good.replace("def run(config, inputs, out):\n", 'def run(config, inputs, out):\n    raise OSError("no")\n')
    )
    assert more(toy).returncode == 1  # the counts are there, their readers have failed
    answer = toy.submit(*ALONE)
    assert weights_left(toy) == 1
    assert "weights stay that are read, or kept, by: more" in answer.stdout
    square.write_text(good)
    assert more(toy).returncode == 0
    assert (weights_left(toy), outcomes(toy, "count")) == (0, [["done"]])


def test_a_sweep_that_keeps_them_wins(toy: Toy) -> None:
    assert more(toy, "submit", "--set=keep=true").returncode == 0
    toy.submit(*ALONE)
    assert weights_left(toy) == 1


def test_damaged_results_of_a_reader_bring_the_weights_back_and_it_is_said(toy: Toy) -> None:
    toy.submit(*ALONE)
    file = min(toy.outputs.glob("store/total/*/total.h5"))
    file.write_bytes(b"cut")
    plan = toy.launch("plan", *ALONE)
    assert "1 task (count) will run again because their weights were dropped" in plan.stdout
    assert '"all_done": false' in toy.launch("status", "--json", *ALONE).stdout
    toy.submit(*ALONE)
    assert sorted(map(len, toy.attempts("count").values())) == [2]
    assert (toy.totals(), weights_left(toy)) == (expected(1), 0)


def test_weights_that_go_as_a_reader_starts_are_made_again(toy: Toy) -> None:
    """Another sweep found no reader left, just before this one was submitted."""
    total = toy.root / "jobs" / "toy" / "total.py"
    drops_them = """def run(config, inputs, out):
    from lib.artifacts import weights
    once = inputs["count"] / "attempts" / "once"
    if not once.exists():
        once.touch()
        weights.drop(inputs["count"], store.finished_digest(inputs["count"]), "another sweep")
"""
    toys.edit(total, toys.RUN, drops_them)
    answer = toy.submit("--cluster=local")
    assert (toy.totals(), outcomes(toy, "count")) == (expected(1), [["done", "done"]])
    assert [kinds[-1] for kinds in outcomes(toy, "total")] == ["done"]
    assert ": its weights were dropped" in " ".join(answer.stdout.split())


def test_a_drop_that_was_killed_is_ended_by_the_next_collection(toy: Toy) -> None:
    toy.submit("--cluster=local")
    folder = next(toy.outputs.glob("store/count/*"))
    state = (folder / WEIGHTS).stat()
    entry = {"size": state.st_size, "changed_ns": state.st_mtime_ns}
    store.write_json(folder / places.DROPPED, {"files": {WEIGHTS: entry}, "bytes": 7000, "time": "", "by": "killed"})
    toy.submit(*ALONE)
    assert (weights_left(toy), outcomes(toy, "count")) == (0, [["done"]])


def test_on_slurm_the_last_reader_drops_them_although_the_controller_fails(toy: Toy, tmp_path: Path) -> None:
    collect = toy.root / "lib" / "studies" / "collect.py"
    good = collect.read_text()
    collect.write_text("def run(root, plan, console):\n    raise OSError('no')\n")
    site = FakeSite(tmp_path / "site")
    toy.environment |= {"FAKE_SLURM": str(site.root), "PATH": f"{toys.FAKES}:{os.environ['PATH']}"}
    try:
        toy.submit("--set=keep=false")
        wait_for(lambda: len(site.arrays()) == 2 and not site.live(), "the end of all jobs")
        assert (weights_left(toy), toy.table.exists()) == (0, False)
        collect.write_text(good)
        toy.submit("--set=keep=false")
        assert (toy.totals(), outcomes(toy, "count")) == (expected(1), [["done"]])
    finally:
        site.end()


def test_a_small_quota_makes_waves_and_the_sweep_ends(toy: Toy, tmp_path: Path) -> None:
    """Each model is computed to take 1 GB, and the quota is 1.5 GB: one after the other, although two are ready."""
    count = toy.root / "jobs" / "toy" / "count.py"
    work = "\n\ndef work(config, given):\n    return Work(weights=1e9)\n"
    count.write_text(f"from lib.costs.work import Work\n{count.read_text()}{work}")
    cluster = toy.root / "env" / "clusters" / "toy.yaml"
    cluster.write_text(f"{cluster.read_text()}disk_quota_gb: 1.5\n")
    site = FakeSite(tmp_path / "site")
    toy.environment |= {"FAKE_SLURM": str(site.root), "PATH": f"{toys.FAKES}:{os.environ['PATH']}"}
    try:
        answer = toy.submit("--set=keep=false", "--set=numbers=[1,2]")
        assert "1 task that can start waits for room on the disk" in answer.stdout
        assert toy.finish() == expected(1, 2)
        wait_for(lambda: not site.live(), "the end of the last controller")
        assert (weights_left(toy), outcomes(toy, "count")) == (0, [["done"]] * 2)
        toys.edit(cluster, "1.5", "0.5")
        answer = toy.launch("submit", "--set=numbers=[4]")
        assert (answer.returncode, "the disk has no room for any of the tasks that can start (1)" in answer.stderr) == (
            1,
            True,
        )
    finally:
        site.end()


def task(stage: str, digest: str, **inputs: str) -> Task:
    values = {"keep_weights": False} if stage == "train" else {}
    return Task(digest, stage, 1, "", stage, values, inputs, Resources())


TRAIN, FIRST, SECOND = task("train", "aaa"), task("score", "bbb", model="aaa"), task("score", "ccc", model="aaa")
PLAN = Plan("s", "laptop", "", "", {one.digest: one for one in (TRAIN, FIRST, SECOND)}, [Leaf({}, "bbb", {})])


def finish(root: Path, one: Task, name: str = "scores.txt") -> None:
    folder = finished.directory(root, one)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    store.write_done(folder, one.digest, one.stage, 1)


def submitted(root: Path, sweep: str, *tasks: Task) -> None:
    known = {one.digest: one for one in tasks}
    submit = submissions.Submit(submissions.new_id(), 0.0, "c", str(root), str(root), [], [], known)
    places.submits(root, sweep).mkdir(parents=True, exist_ok=True)
    submissions.write(root, sweep, submit)


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_only_the_last_of_two_readers_drops(tmp_path: Path, order: tuple[Task, Task]) -> None:
    finish(tmp_path, TRAIN, WEIGHTS)
    submitted(tmp_path, "s", *PLAN.tasks.values())
    finish(tmp_path, order[0])
    assert drops.after(tmp_path, PLAN.tasks, order[0]).tasks == 0
    finish(tmp_path, order[1])
    assert drops.after(tmp_path, PLAN.tasks, order[1]).tasks == 1
    assert drops.after(tmp_path, PLAN.tasks, order[0]).tasks == 0


def test_a_queued_training_that_nobody_needs_any_more_does_not_run(tmp_path: Path, capsys) -> None:
    """Two sweeps submitted it and its readers; the other one was first, and dropped the weights."""
    finish(tmp_path, TRAIN, WEIGHTS)
    submitted(tmp_path, "s", *PLAN.tasks.values())
    for reader in (FIRST, SECOND):
        finish(tmp_path, reader)
    assert drops.of_plan(tmp_path, PLAN).tasks == 1
    (file,) = submissions.files(tmp_path, "s")
    runner.run_task(submissions.read(file), "aaa")
    assert "already done" in capsys.readouterr().out
    assert survey.local(tmp_path, PLAN).all_done()
    submitted(tmp_path, "t", TRAIN, task("score", "ddd", model="aaa"))
    assert not drops.unneeded(tmp_path, TRAIN)


def test_weights_stay_for_another_run_of_the_same_sweep(tmp_path: Path) -> None:
    finish(tmp_path, TRAIN, WEIGHTS)
    for reader in (FIRST, SECOND):
        finish(tmp_path, reader)
    submitted(tmp_path, "s--laptop--x-2-0123abcd", TRAIN, task("score", "ddd", model="aaa"))
    assert drops.of_plan(tmp_path, PLAN).needed_by == {"s--laptop--x-2-0123abcd"}
    assert (finished.directory(tmp_path, TRAIN) / WEIGHTS).is_file()


def test_a_model_without_readers_is_a_result_itself(tmp_path: Path) -> None:
    finish(tmp_path, TRAIN, WEIGHTS)
    alone = Plan("s", "laptop", "", "", {"aaa": TRAIN}, [Leaf({}, "aaa", {})])
    assert drops.of_plan(tmp_path, alone).tasks == 0
    finish(tmp_path, FIRST)
    finish(tmp_path, SECOND)
    assert drops.of_plan(tmp_path, PLAN).tasks == 1
    assert finished.done(tmp_path, PLAN) == {"aaa", "bbb", "ccc"}
    assert finished.done(tmp_path, alone) == set()
    assert survey.local(tmp_path, alone).states == {"aaa": survey.WAITING}


def test_a_submit_file_that_cannot_be_read_drops_nothing(tmp_path: Path) -> None:
    for one in PLAN.tasks.values():
        finish(tmp_path, one, WEIGHTS)
    submitted(tmp_path, "s", *PLAN.tasks.values())
    (places.submits(tmp_path, "s") / "0000.json").write_text('{"aaa"')
    with pytest.raises(TesseraError, match="damaged"):
        drops.after(tmp_path, PLAN.tasks, FIRST)
    assert store.is_done(finished.directory(tmp_path, TRAIN), "aaa")
