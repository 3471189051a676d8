"""What `plan` and `doctor` say of disk and of weights."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.artifacts import store, weights
from lib.costs import devices
from lib.launcher import costs, doctor_room
from lib.launcher.sweep import Sweep
from lib.plans import finished
from lib.plans.costing import Cost
from lib.plans.plan import Leaf, Plan, Task
from lib.plans.resources import Resources
from lib.running import quota
from lib.running.quota import Left

GPU = Resources(gpus=1)
TRAIN = Task("aaa", "train", 1, "", "trained", {"keep_weights": False, "checkpoint_steps": 9}, {}, GPU)
SCORE = Task("bbb", "score", 1, "", "scored", {}, {"model": "aaa"}, Resources())
COSTS = {"aaa": Cost(weights_gb=5, scratch_gb=10, computed=True), "bbb": Cost(results_gb=1)}


def sweep(root: Path, **changes) -> Sweep:
    made = {"tasks": {"aaa": TRAIN, "bbb": SCORE}, "costs": COSTS, **changes}
    plan = Plan("s", "p", "", "", made["tasks"], [Leaf({}, "bbb", {})], made["costs"])
    return Sweep(plan, None, root, devices.find(None, ""))


WAVES, SMALL = "as the disk has room", "the disk is too small: 17.0 GB"


@pytest.mark.parametrize(
    ("left", "said", "level"),
    [(30, "", "ok"), (21.5, WAVES, "warn"), (18, WAVES, "warn"), (16.5, SMALL, "fail"), (15, SMALL, "fail")],
)
def test_too_little_disk_is_said_with_what_helps(left: float, said: str, level: str, tmp_path, monkeypatch) -> None:
    """Two models of 5 GB, one after the other with 10 GB of checkpoints, 1 GB of scores; 1 GB stays free."""
    monkeypatch.setattr(quota, "left", lambda root, limit: Left(left, "free"))
    monkeypatch.setattr(costs.local, "cores", lambda: 1)
    two = {"aaa": TRAIN, "ccc": Task("ccc", "train", 1, "", "trained", TRAIN.config, {}, GPU), "bbb": SCORE}
    made = sweep(tmp_path, tasks=two, costs={**COSTS, "ccc": COSTS["aaa"]})
    line, *more = costs.disk_lines(made, list(two))
    assert line.startswith("disk: 21.0 GB at the peak, 16.0 GB at least, 1.0 GB at the end")
    assert (bool(more), said in "".join(more)) == (bool(said), True)
    finding = doctor_room.disk(made.plan, *costs.room(made, list(two)))
    assert (finding.level, "checkpoint_steps=0" in finding.remedy) == (level, True)


def finish(root: Path, task: Task, name: str) -> Path:
    folder = finished.directory(root, task)
    folder.mkdir(parents=True)
    (folder / name).write_text("x" * 1000)
    store.write_done(folder, task.digest, task.stage, 1)
    return folder


def test_dropped_weights_are_said_and_what_runs_again_for_them(tmp_path: Path) -> None:
    made = sweep(tmp_path)
    folder = finish(tmp_path, TRAIN, "model.safetensors")
    assert costs.dropped(tmp_path, made.plan, made.done()) == []
    weights.drop(folder, "aaa", "x")
    (again,) = costs.dropped(tmp_path, made.plan, made.done())
    assert "1 task (train) will run again because their weights were dropped" in again
    assert "score of this sweep read them" in again
    finish(tmp_path, SCORE, "scores.txt")
    (line,) = costs.dropped(tmp_path, made.plan, made.done())
    assert line.startswith("weights of 1 model were dropped (0.0 GB)")


def test_a_gpu_task_without_computed_hours_is_named_with_the_fact(tmp_path: Path) -> None:
    made = sweep(tmp_path, costs={**COSTS, "aaa": Cost(unknown="tokens_a_text")})
    (line,) = costs.unknown(made.plan, made.plan.tasks)
    assert "trained: hours of 1 task are not computed, because `tokens_a_text` is not known" in line
    assert costs.unknown(sweep(tmp_path).plan, ["aaa", "bbb"]) == []


def test_a_full_file_system_is_a_shortage_of_a_sweep_that_writes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=0))
    assert "the disk is too small" in "".join(costs.disk_lines(sweep(tmp_path), ["aaa"]))
