"""The campaign itself: what is broken is noticed, a trial is a function of its seed and number, faults do happen."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lib.base import places
from tests.campaign import __main__ as campaign
from tests.campaign import damage, processes, promises, results, shim, trial
from tests.campaign.base import Base
from tests.campaign.registry import KINDS
from tests.campaign.scene import Scene
from tests.campaign.trial import Result

SWEEP = "toy"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A trial that has ended as promised: one artifact, made once, and its table."""
    for outputs in (tmp_path / "base", tmp_path / "trial" / "outputs"):
        write(places.tables(outputs, SWEEP) / "toy.csv", "number,total\n1,190\n")
        write(outputs / "store" / "count" / "n1" / "attempts" / "0001.json", json.dumps({"outcome": "done"}))
    base, folder = Base(tmp_path, tmp_path / "base", None), tmp_path / "trial"
    return Scene(folder, base, random.Random(0), SWEEP, folder, folder / "outputs", (), {})


def test_a_trial_that_ended_as_promised_has_no_problems(scene: Scene) -> None:
    assert promises.broken(scene, finished=True) == []


def test_other_tables_are_noticed(scene: Scene) -> None:
    write(scene.tables_folder / "toy.csv", "number,total\n1,191\n")
    assert "toy.csv" in promises.broken(scene, finished=True)[0]


@pytest.mark.parametrize("outcomes", [["done", "done"], ["done", "failed"], ["failed", "done", "failed"]])
def test_what_runs_again_after_its_end_is_noticed_unless_it_was_damaged(scene: Scene, outcomes: list[str]) -> None:
    (artifact,) = scene.artifacts()
    for number, outcome in enumerate(outcomes, 1):
        write(artifact / "attempts" / f"{number:04d}.json", json.dumps({"outcome": outcome}))
    assert artifact.name in promises.broken(scene, finished=True)[0]
    scene.excuse(artifact)
    assert promises.broken(scene, finished=True) == []


def test_a_process_that_lives_on_is_noticed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_SECONDS", 0.2)
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, "TRIAL": str(scene.folder)})
    try:
        assert processes.left(scene.folder, 0.2)[0].pid == child.pid
        processes.end(scene.folder)
        assert child.wait(5) < 0
    finally:
        child.kill()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("1 / 0", "traceback"),
        ("raise SystemExit(3)", "ended with 3"),
        ("print('log: /nowhere/0001.log')", "a log that is not there"),
    ],
)
def test_what_a_command_prints_and_how_it_ends_is_checked(scene: Scene, script: str, problem: str) -> None:
    write(scene.cwd / "launch.py", script)
    scene.type("submit")
    assert any(problem in found for found in promises.broken(scene, finished=True))


def test_the_word_for_the_cause_is_required_and_another_is_refused(scene: Scene) -> None:
    write(scene.cwd / "launch.py", "print('count.h5 is damaged')")
    scene.type("submit")
    scene.said, scene.unsaid = ["[Pp]ermission"], ["damaged"]
    assert len(promises.broken(scene, finished=True)) == 2


def test_every_deck_holds_every_kind_as_often_as_its_weight() -> None:
    weights = {name: kind.weight for name, kind in KINDS.items() if not kind.needs_real}
    deck = sum(weights.values())
    assert Counter(trial.kind_of(1, number).name for number in range(deck, 2 * deck)) == weights
    assert [trial.kind_of(1, n).name for n in range(20)] == [trial.kind_of(1, n).name for n in range(20)]
    assert [trial.kind_of(1, n).name for n in range(20)] != [trial.kind_of(2, n).name for n in range(20)]


def test_a_number_is_the_same_trial_whatever_is_chosen() -> None:
    chosen = campaign.parser().parse_args(["-n", "5", "--seed", "3"])
    some = [name for name in KINDS if name.startswith("slurm")]
    assert all(trial.kind_of(3, number).name in some for number in campaign.numbers(chosen, some))


@pytest.mark.parametrize("how", damage.DAMAGES)
def test_damage_changes_a_file(tmp_path: Path, how) -> None:
    file = write(tmp_path / "file", "a" * 9000)
    how(file, random.Random(1))
    assert not file.exists() or file.read_text(errors="replace") != "a" * 9000


@pytest.mark.parametrize("content", [b"", bytes(9000), b"a" + bytes(9000)])
def test_a_fault_that_changes_nothing_is_followed_by_one_that_does(tmp_path: Path, content: bytes) -> None:
    for seed in range(20):
        file = tmp_path / "file"
        file.write_bytes(content)
        damage.some(file, random.Random(seed))
        assert not file.exists() or file.read_bytes() != content


def test_the_nth_write_of_a_role_fails_with_the_error_asked_for(tmp_path: Path) -> None:
    made = shim.library(tmp_path)
    if made is None:
        pytest.skip("no C compiler")
    opened = f"import os; f = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)"
    script = f"{opened}; [os.write(f, b'x') for _ in 'abc']"
    rule = f"other:write:28:3:3:{tmp_path}"
    environment = {**os.environ, **shim.failing(made, tmp_path / "counts", rule)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "No space left" in done.stderr
    assert (tmp_path / "file").read_text() == "xx"
    assert shim.read(tmp_path / "counts")["fired"] == 1


def test_results_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    for number in (0, 1):
        results.append(file, Result(1, number, "local: x", 2.0, problems=["wrong"] * number))
    file.write_text(file.read_text()[:-10])
    assert [result.number for result in results.read(file)] == [0]
    assert "| local: x | 1 | 1 | 0 | 0 | 0 | 2.0 |" in results.table(results.read(file))
