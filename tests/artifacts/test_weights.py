"""Dropping weights: what is valid afterwards, what is not, and what a kill in the middle leaves."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.artifacts import execution, stage, store, weights
from lib.base import config, places
from lib.base.errors import TesseraError

SHARDS = ("model-1.safetensors", "model-2.safetensors")


@dataclass(frozen=True)
class Config:
    seed: int = 0
    keep_weights: bool = config.execution(True)


def write(values: Config, inputs: dict, out: Path) -> None:
    for name in SHARDS:
        (out / name).write_text(f"weights {values.seed}")
    (out / "metrics.txt").write_text("metrics")


STAGE = stage.Stage("train", 1, (), (), (), False, (), Config, SimpleNamespace(run=write))
DIGEST = stage.task_digest(STAGE, Config(), {})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    execution.run(STAGE, Config(), {}, tmp_path, None)
    assert store.is_done(tmp_path, DIGEST)
    return tmp_path


def test_the_weights_go_and_the_rest_stays_valid(artifact: Path) -> None:
    done = (artifact / places.DONE).read_bytes()
    assert weights.drop(artifact, DIGEST, "the last reader") == 2 * len("weights 0")
    assert [name for name in SHARDS if (artifact / name).exists()] == []
    assert (artifact / places.DONE).read_bytes() == done
    assert (store.is_done(artifact, DIGEST), store.is_dropped(artifact, DIGEST)) == (False, True)
    assert store.read_verified(artifact, "metrics.txt") == b"metrics"
    store.verify(artifact)
    record = weights.read(artifact)
    assert (set(record["files"]), record["bytes"], record["by"]) == (set(SHARDS), 18, "the last reader")


def test_whoever_reads_weights_is_told(artifact: Path) -> None:
    weights.drop(artifact, DIGEST, "x")
    with pytest.raises(TesseraError, match="its weights were dropped; run its task again"):
        store.input_digest(artifact)


def test_a_damaged_rest_is_found_after_the_drop(artifact: Path) -> None:
    weights.drop(artifact, DIGEST, "x")
    (artifact / "metrics.txt").write_text("METRICS")
    with pytest.raises(TesseraError, match=r"metrics\.txt: not what was written"):
        store.verify(artifact)
    (artifact / "metrics.txt").write_text("cut")
    assert not store.is_dropped(artifact, DIGEST)
    assert "size" in store.missing_reason(artifact, DIGEST)


def test_it_is_safe_to_repeat(artifact: Path) -> None:
    weights.drop(artifact, DIGEST, "first")
    before = (artifact / places.DROPPED).read_bytes()
    assert weights.drop(artifact, DIGEST, "second") == 0
    assert (artifact / places.DROPPED).read_bytes() == before


@pytest.mark.parametrize("removed", [0, 1])
def test_a_drop_that_was_killed_counts_as_dropped_and_is_ended(artifact: Path, removed: int, monkeypatch) -> None:
    real, calls = weights._remove, []

    def killed(file: Path, entry: dict) -> int:
        if len(calls) == removed:
            raise KeyboardInterrupt
        calls.append(file)
        return real(file, entry)

    monkeypatch.setattr(weights, "_remove", killed)
    with pytest.raises(KeyboardInterrupt):
        weights.drop(artifact, DIGEST, "x")
    monkeypatch.undo()
    assert sum((artifact / name).exists() for name in SHARDS) == 2 - removed
    assert store.is_dropped(artifact, DIGEST)  # weights that are there still are not trusted
    assert weights.drop(artifact, DIGEST, "x") == (2 - removed) * len("weights 0")
    assert not any((artifact / name).exists() for name in SHARDS)


def test_what_was_dropped_is_made_again_on_request(artifact: Path) -> None:
    weights.drop(artifact, DIGEST, "x")
    execution.run(STAGE, Config(), {}, artifact, None)
    assert store.is_done(artifact, DIGEST)
    assert not (artifact / places.DROPPED).exists()
    assert weights.drop(artifact, DIGEST, "again") == 18


def test_a_killed_repetition_leaves_the_rest_valid_and_its_weights_unread(artifact: Path) -> None:
    """Weights of the right size, but of a run that did not end: they are not taken for finished, and not removed."""
    weights.drop(artifact, DIGEST, "x")

    def half(values: Config, inputs: dict, out: Path) -> None:
        (out / SHARDS[0]).write_text("weightx 0")
        (out / SHARDS[1]).write_text("weightx 0")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        execution.run(stage.Stage(*STAGE_FIELDS, SimpleNamespace(run=half)), Config(), {}, artifact, None)
    assert store.is_dropped(artifact, DIGEST)
    assert weights.drop(artifact, DIGEST, "another sweep, meanwhile") == 0
    assert all((artifact / name).exists() for name in SHARDS)
    execution.run(STAGE, Config(), {}, artifact, None)
    assert store.is_done(artifact, DIGEST)


STAGE_FIELDS = ("train", 1, (), (), (), False, (), Config)


def test_results_without_weights_have_nothing_to_drop(tmp_path: Path) -> None:
    (tmp_path / "scores.h5.txt").write_text("scores")
    store.write_done(tmp_path, "abc", "stage", 1)
    assert weights.drop(tmp_path, "abc", "x") == 0
    assert store.is_done(tmp_path, "abc")


def test_two_last_readers_at_the_same_time(artifact: Path, monkeypatch) -> None:
    """The second comes between the marker and the first removal, or after all of them."""
    real = store.write_json

    def both(path: Path, value: dict) -> None:
        real(path, value)
        monkeypatch.setattr(store, "write_json", real)
        weights.drop(artifact, DIGEST, "the other")

    monkeypatch.setattr(store, "write_json", both)
    weights.drop(artifact, DIGEST, "one")
    assert store.is_dropped(artifact, DIGEST)
    assert not any((artifact / name).exists() for name in SHARDS)
