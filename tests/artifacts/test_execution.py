"""A stage started by hand: into a folder of its own, or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from lib.artifacts import attempts, checkpoints, store
from lib.artifacts.command import main
from lib.base import places


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "text.yaml"


def run(config: Path, out: Path, attempt: int | None = None, **values) -> int:
    config.write_text(json.dumps({"packages": ["rich"], "n_books": 1, "book_characters": 2000, **values}))
    reserved = [] if attempt is None else ["--attempt", str(attempt)]
    return main("text", ["--config", str(config), "--out", str(out), *reserved])


def test_the_result_of_another_configuration_is_never_mixed_with_a_new_one(config, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    assert run(config, out) == 0
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert run(config, out, seed=1) == 2
    assert "it holds the result of another configuration" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert run(config, out) == 0  # what is there stays done


@pytest.mark.parametrize("damage", ["{", '{"digest": null}', "[]"])
def test_a_damaged_record_is_made_again(config, tmp_path, damage) -> None:
    out = tmp_path / "out"
    assert run(config, out) == 0
    digest = store.read_done(out)["digest"]
    (out / places.DONE).write_text(damage if damage != '{"digest": null}' else json.dumps({"digest": digest}))
    assert run(config, out) == 0
    assert store.is_done(out, digest)


def test_a_file_is_not_a_directory_to_write_to(config, tmp_path, capsys) -> None:
    (tmp_path / "out").write_text("mine")
    assert run(config, tmp_path / "out") == 2
    assert "this is a file; name a directory" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_a_start_by_hand_completes_the_record_of_a_killed_attempt(config, tmp_path) -> None:
    out = tmp_path / "out"
    attempts.begin(out, None)
    assert run(config, out) == 0
    killed, mine = attempts.read(out)
    assert (killed["outcome"], killed["error"]) == ("failed", "killed: it ended without a message")
    assert (mine["number"], mine["outcome"]) == (2, "done")


def test_a_start_by_a_runner_leaves_the_records_of_other_attempts_to_it(config, tmp_path) -> None:
    out = tmp_path / "out"
    attempts.begin(out, None)
    assert run(config, out, attempt=attempts.reserve(out)[0]) == 0
    assert [record["outcome"] for record in attempts.read(out)] == ["running", "done"]


def with_checkpoint(out: Path) -> Path:
    checkpoint = out / places.CHECKPOINTS / f"{checkpoints.PREFIX}3"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"w")
    checkpoints.complete(checkpoint, {})
    return checkpoint


def test_a_finished_stage_leaves_no_checkpoints(config, tmp_path) -> None:
    with_checkpoint(tmp_path / "out")
    assert run(config, tmp_path / "out") == 0
    assert not (tmp_path / "out" / places.CHECKPOINTS).exists()


def test_checkpoints_that_are_removed_by_half_do_not_count(config, tmp_path, monkeypatch) -> None:
    checkpoint = with_checkpoint(tmp_path / "out")
    monkeypatch.setattr(shutil, "rmtree", lambda *given, **settings: None)  # stopped before any file was removed
    assert run(config, tmp_path / "out") == 0
    assert (checkpoint / "weights").exists()
    assert checkpoints.last_step(checkpoint.parent) == 0
