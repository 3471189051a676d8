"""Checkpoints count only when they are complete and belong to the training."""

import json
from pathlib import Path

import pytest

from lib.artifacts import checkpoints

ORIGIN = {"ranks": 1, "recipe": "abc"}


def write(folder: Path, step: int, origin: dict | None = ORIGIN) -> Path:
    checkpoint = folder / f"{checkpoints.PREFIX}{step}"
    (checkpoint / "global_step").mkdir(parents=True)
    (checkpoint / "global_step" / "weights").write_bytes(b"1234")
    if origin:
        checkpoints.complete(checkpoint, origin)
    return checkpoint


def test_newest_is_the_highest_complete_step(tmp_path):
    write(tmp_path, 9)
    ten = write(tmp_path, 10)
    write(tmp_path, 11, origin=None)
    assert checkpoints.newest(tmp_path, ORIGIN) == ten


def test_no_checkpoint_at_all(tmp_path):
    assert checkpoints.newest(tmp_path / "absent", ORIGIN) is None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: (path / "global_step" / "weights").write_bytes(b"12"), "not what was written"),
        (lambda path: (path / "global_step" / "weights").write_bytes(b"1235"), "not what was written"),
        (lambda path: (path / "global_step" / "weights").unlink(), "not what was written"),
        (lambda path: (path / checkpoints.MARKER).write_text("{"), "damaged"),
        (lambda path: (path / checkpoints.MARKER).write_text('{"files": 3}'), "damaged"),
        (lambda path: (path / checkpoints.MARKER).unlink(), "not complete"),
    ],
)
def test_a_damaged_checkpoint_is_skipped_and_named(damage, reason, tmp_path, capsys):
    older = write(tmp_path, 2)
    damage(write(tmp_path, 4))
    assert checkpoints.newest(tmp_path, ORIGIN) == older
    assert reason in capsys.readouterr().out


def test_an_older_marker_has_sizes_only(tmp_path):
    checkpoint = write(tmp_path, 2)
    marker = json.loads((checkpoint / checkpoints.MARKER).read_text())
    del marker["checksums"]
    (checkpoint / checkpoints.MARKER).write_text(json.dumps(marker))
    assert checkpoints.newest(tmp_path, ORIGIN) == checkpoint


def test_a_checkpoint_of_another_training_is_skipped_and_named(tmp_path, capsys):
    write(tmp_path, 2)
    assert checkpoints.newest(tmp_path, {**ORIGIN, "ranks": 2}) is None
    assert "made with another number of ranks (1, now 2)" in capsys.readouterr().out


def test_older_checkpoints_go_and_all_go_in_the_end(tmp_path):
    folder = tmp_path / "all"
    write(folder, 2)
    kept = write(folder, 4)
    checkpoints.keep_only(folder, kept)
    assert list(folder.iterdir()) == [kept]
    checkpoints.remove_all(folder)
    assert not folder.exists()
    checkpoints.remove_all(folder)
