"""How long tasks took is read from their records: the median of those of this machine, and the sums of one command."""

import json
import socket
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lib.artifacts import store
from lib.base import places
from lib.base.progress import Report
from lib.launcher import times
from lib.launcher.sweep import Sweep
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.plans.schedule import Room
from lib.running import durations, submissions, survey
from lib.running.durations import Seen, Source
from lib.running.submissions import Submit

HERE = {"host": socket.gethostname(), "outcome": "done", "campaign": "mine"}


def task(digest: str, stage: str = "train", expected: float = 0.0, size: int = 1, **asked: int) -> Task:
    config = {"size": size, "seed": digest}
    return Task(digest, stage, 1, "", "node", config, {}, Resources(expected_hours=expected / 3600, **asked))


def plan(tasks: list[Task]) -> Plan:
    return Plan("toy", "profile", "title", "none", {one.digest: one for one in tasks}, [])


def submitted(root: Path, tasks: list[Task], records: dict[str, list[dict]]) -> None:
    """A submit file of these tasks, and the records of their attempts."""
    identity = submissions.new_id()
    submissions.write(root, "toy", Submit(identity, 0.0, "mine", str(root), "", [], [], plan(tasks).tasks))
    for one in tasks:
        for number, record in enumerate(records.get(one.digest, []), start=1):
            file = places.attempt(finished.directory(root, one), number, "json")
            store.write_json(file, {**HERE, **record})
            file.with_suffix(".log").touch()


def test_the_median_of_whole_attempts_on_this_machine_counts(tmp_path: Path) -> None:
    tasks = [task(str(n), expected=10) for n in range(7)]
    records = {str(n): [{"seconds": 10.0 * n}] for n in (1, 2, 3)}
    records["4"] = [{"seconds": 900, "host": "another"}]
    records["5"] = [{"seconds": 900, "outcome": "failed"}, {"seconds": 900}]
    records["6"] = [{"outcome": "running"}]
    submitted(tmp_path, [*tasks, task("x", "score")], {**records, "x": [{"seconds": 4.0}]})
    found = durations.measured(tmp_path, {"train", "score"})
    assert sorted(one.seconds for one in found["train"]) == [10.0, 20.0, 30.0]
    assert [one.seconds for one in found["score"]] == [4.0]
    assert set(durations.measured(tmp_path, {"score"})) == {"score"}  # no other records are read
    assert durations.measured(tmp_path / "empty", {"train"}) == {}


SEEN = [Seen("mine", 4.0, 0.0), Seen("another", 20.0, 10.0), Seen("another", 60.0, 20.0)]


@pytest.mark.parametrize(
    ("settings", "stated", "seen", "seconds", "source"),
    [
        ("mine", 0, SEEN, 4.0, durations.MEASURED),
        ("mine", 5, SEEN[:1], 4.0, durations.MEASURED),  # of the same task, before anything was stated
        ("another", 10, SEEN, 25.0, durations.MEASURED),  # 2 and 3 times what was stated
        ("new", 100, SEEN, 250.0, durations.SCALED),
        ("new", 1000, SEEN, 1000.0, durations.STATED),  # a hundred times as large
        ("new", 0.05, SEEN, 0.05, durations.STATED),
        ("new", 100, SEEN[:1], 100.0, durations.STATED),
        ("new", 100, [Seen("another", 4.0, 0.5)], 100.0, durations.STATED),  # its start is all of it
        ("new", 0, SEEN, 0.0, durations.OTHER),
        ("new", 0, [], 0.0, durations.UNKNOWN),
    ],
)
def test_a_duration_counts_for_tasks_of_its_settings_and_its_ratio_for_tasks_of_its_size(
    settings: str, stated: float, seen: list[Seen], seconds: float, source: Source
) -> None:
    assert durations.expected(task("new", expected=stated), settings, seen) == (pytest.approx(seconds), source)


def test_settings_are_those_of_all_inputs_and_no_seed() -> None:
    first, second, large = task("a"), task("b"), task("c", size=2)
    users = [replace(task(f"u{one.digest}", "score"), inputs={"model": [one.digest]}) for one in (first, second, large)]
    settings = durations.settings_of(plan([first, second, large]).tasks)
    assert settings(first) == settings(second) != settings(large)
    assert settings(users[0]) == settings(users[1]) != settings(users[2])


def test_a_plan_says_which_durations_were_measured(tmp_path: Path) -> None:
    """Two tasks of 20 s (twice what was stated) side by side. A stage that nobody knows makes it more than a time."""
    submitted(tmp_path, [task("old", expected=5)], {"old": [{"seconds": 10.0}]})
    todo = plan([task("a", expected=10), task("b", expected=10), task("c", "score", 3600), task("d", "draw")])
    sweep = Sweep(todo, None, tmp_path, None)
    (line,) = times.expected(sweep, set(), Room(4, 99))
    assert line == (
        "time on this machine: more than 1 h, without draw whose duration is not known yet, with 4 cores, and with any "
        "number of them at least 1 h; measured here: train; computed: score; not known, taken for nothing: draw "
        "(1 task of these stages measured)"
    )
    (line,) = times.expected(sweep, {"c", "d"}, Room(4, 99))
    assert line.startswith("time on this machine: about 21 s with 4 cores")
    assert line.endswith("all durations are measured here (1 task of these stages measured)")
    (line,) = times.expected(sweep, {"a", "b", "c"}, Room(4, 99))
    assert line == "time on this machine: not known; no stage of it has run here yet with these settings"
    assert times.expected(sweep, set(todo.tasks), Room(4, 99)) == []


def test_what_a_command_has_done_is_added_up_by_stage(tmp_path: Path) -> None:
    tasks = [task("a", cpus=2), task("b"), task("c", "score"), task("d", "score")]
    records = {
        "a": [{"started": 100.0, "seconds": 60.0, "outcome": "failed"}, {"started": 200.0, "seconds": 30.0}],
        "b": [{"started": 150.0, "seconds": 120.0}],
        "c": [{"started": 270.0, "seconds": 90.0}],
        "d": [{"started": 0.0, "seconds": 9e9, "campaign": "earlier"}],
    }
    submitted(tmp_path, tasks, records)
    (line,) = times.took(tmp_path, plan(tasks), "mine")
    assert line == "3 tasks took 4 min 20 s, and 6 min 30 s of cores: train 5 min (2), score 1 min 30 s (1)"
    assert times.took(tmp_path, plan(tasks), "another") == []


def test_status_tells_how_far_running_tasks_are(tmp_path: Path) -> None:
    tasks = [task(f"{n:02d}") for n in range(13)]
    for one in tasks[1:]:
        folder = finished.directory(tmp_path, one)
        folder.mkdir(parents=True)
        report = Report(3, 12, "steps", rate=50, rated="tokens", left=90, note="", ranks=1)
        (folder / places.PROGRESS).write_text(json.dumps(asdict(report)))
    found = survey.Survey({one.digest: survey.RUNNING for one in tasks[:-1]} | {"12": survey.FAILED})
    lines = times.running(tmp_path, plan(tasks), found)
    assert len(lines) == times.SHOWN + 1
    assert lines[0] == "train node: 3 of 12 steps (25 %), 50 tokens/s, 1 min 30 s left"
    assert lines[-1] == "... and 1 more"
