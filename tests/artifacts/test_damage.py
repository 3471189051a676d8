"""Whatever is done to a file that a stage reads: the same commands end with the same bytes, or name the file.

`Maker` makes every kind of file, `reader` reads them all as stages do. `typed_again` stands for the sweep's command.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lib.artifacts import attempts, damage, execution, store
from lib.artifacts.stage import Stage
from lib.base import hdf5, places
from lib.base.errors import Damaged, TesseraError
from lib.corpus import chunks
from lib.corpus.suffixes import opened
from tests.support.corpora import write_chunk

KINDS = (
    "model.safetensors",
    "tokenizer.json",
    "config.json",
    "values.h5",
    "chunk-00.h5",
    "suffix_array.h5",
    "sub/x.h5",
)
BY_RANGE = ("chunk-00.h5", "suffix_array.h5")
TOKENS = 5000


@dataclass(frozen=True)
class Config:
    seed: int = 0


def make(config: Config, inputs: dict[str, Any], out: Path) -> None:
    stream = np.random.default_rng(config.seed)
    (out / "sub").mkdir(exist_ok=True)
    for name in KINDS[:3]:
        (out / name).write_bytes(stream.bytes(3000))
    for name in ("values.h5", "sub/x.h5"):
        with hdf5.create(out / name) as file:
            hdf5.write(file, "x", stream.integers(0, 9, 2000))
            file.attrs["length"] = config.seed
    tokens = stream.integers(0, 50, TOKENS)
    chunk = chunks.open_chunk(write_chunk(out / "chunk-00.h5", [tokens[:99], tokens[99:]]))
    with hdf5.create(out / "suffix_array.h5") as file:
        positions = stream.permutation(TOKENS).astype("<u4")
        hdf5.write(file, "positions", positions, contiguous=True)
        hdf5.write(file, "checksums", chunks.checksums(positions))
        file.attrs.update(depth=16, n_tokens=TOKENS, tokens_digest=chunks.digest(chunk))


def read(config: Config, inputs: dict[str, Any], out: Path) -> None:
    given = inputs["made"]
    hasher = hashlib.sha256()
    for name in KINDS[:3]:
        hasher.update((given / name).read_bytes())
    for name in ("values.h5", "sub/x.h5"):
        hasher.update(hdf5.read(given / name, "x").tobytes() + str(hdf5.attributes(given / name)["length"]).encode())
    chunk = chunks.open_chunk(given / "chunk-00.h5")
    array = opened.open_suffix_array(given / "suffix_array.h5", chunk)
    for start in range(0, TOKENS, 1000):
        chunks.check(chunk, start, start + 1000)
        opened.check_array(array, chunk, start, start + 1000)
        hasher.update(chunk.tokens[start : start + 1000].tobytes() + array.positions[start : start + 1000].tobytes())
    hasher.update(f"{chunk.offsets.tolist()} {chunk.vocab_size} {array.depth}".encode())
    (out / "result.txt").write_text(hasher.hexdigest())


def stage(name: str, run: Callable, inputs: tuple[str, ...] = ()) -> Stage:
    return Stage(name, 1, inputs, (), (), False, (), Config, SimpleNamespace(run=run))


MAKER, READER = stage("make", make), stage("read", read, ("made",))


def start(folder: Path, seed: int = 0) -> None:
    """Both stages, once."""
    execution.run(MAKER, Config(seed), {}, folder / "made", None)
    execution.run(READER, Config(), {"made": folder / "made"}, folder / "read", None)


def typed_again(folder: Path) -> tuple[str, list[str]]:
    """The result, and what the starts said that did not end well."""
    said: list[str] = []
    for _ in range(4):
        try:
            start(folder)
            return (folder / "read" / "result.txt").read_text(), said
        except TesseraError as error:
            said.append(str(error))
    raise AssertionError(said)


def other(folder: Path, name: str) -> bytes:
    """A whole file of the same kind and size, of another artifact."""
    if not (folder / "other").exists():
        start(folder / "other", seed=1)
    return (folder / "other" / "made" / name).read_bytes()


DAMAGE = {
    "flip": lambda data, draw: _flipped(data, int(draw.integers(len(data)))),
    "cut": lambda data, draw: data[: int(draw.integers(len(data)))],
    "zeros": lambda data, draw: bytes(len(data)),
}


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


def disturb(folder: Path, name: str, how: str) -> None:
    file = folder / "made" / name
    if how == "lost":
        file.unlink()
    elif how == "another":
        assert len(other(folder, name)) == file.stat().st_size
        file.write_bytes(other(folder, name))
    else:
        file.write_bytes(DAMAGE[how](file.read_bytes(), np.random.default_rng(len(name + how))))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    return typed_again(tmp_path_factory.mktemp("undisturbed"))[0]


@pytest.mark.parametrize("how", [*DAMAGE, "lost", "another"])
@pytest.mark.parametrize("name", KINDS)
def test_a_reader_never_gives_another_result(tmp_path, undisturbed, name, how, capsys) -> None:
    execution.run(MAKER, Config(), {}, tmp_path / "made", None)
    before = (tmp_path / "made" / name).read_bytes()
    disturb(tmp_path, name, how)
    result, said = typed_again(tmp_path)
    assert result == undisturbed
    if name in BY_RANGE and not said and how == "flip":
        return  # a byte that nobody reads
    assert (tmp_path / "made" / name).read_bytes() == before
    assert Path(name).name in " ".join(said) + capsys.readouterr().out
    if how not in ("lost", "cut"):  # a file of another size is seen before it is read
        kept = list((tmp_path / "made" / name).parent.glob(f"{places.DAMAGED}*-{Path(name).name}"))
        assert len(kept) == 1
        assert [record["outcome"] for record in attempts.read(tmp_path / "read")] == [attempts.SET_BACK, "done"]


@pytest.mark.parametrize("name", KINDS)
def test_an_input_that_changes_while_it_is_read_makes_no_result(tmp_path, name) -> None:
    execution.run(MAKER, Config(), {}, tmp_path / "made", None)

    def run(config, inputs, out):
        read(config, inputs, out)
        disturb(tmp_path, name, "another")

    inputs = {"made": tmp_path / "made"}
    with pytest.raises(TesseraError, match=f"{Path(name).name}: changed while it was read"):
        execution.run(stage("read", run, ("made",)), Config(), inputs, tmp_path / "read", None)
    assert not (tmp_path / "read" / places.DONE).exists()


def test_an_input_that_is_touched_or_made_again_with_the_same_bytes_has_not_changed(tmp_path, undisturbed) -> None:
    execution.run(MAKER, Config(), {}, tmp_path / "made", None)

    def run(config, inputs, out):
        read(config, inputs, out)
        (tmp_path / "made" / "config.json").touch()
        (tmp_path / "made" / places.DONE).unlink()
        execution.run(MAKER, Config(), {}, tmp_path / "made", None)

    execution.run(stage("read", run, ("made",)), Config(), {"made": tmp_path / "made"}, tmp_path / "read", None)
    assert (tmp_path / "read" / "result.txt").read_text() == undisturbed


def test_a_file_given_by_hand_must_not_change_either(tmp_path) -> None:
    given = tmp_path / "mine.txt"
    given.write_text("mine")

    def run(config, inputs, out):
        (out / "copy.txt").write_bytes(given.read_bytes())
        given.write_text("yours")

    with pytest.raises(TesseraError, match="changed while it was read"):
        execution.run(stage("read", run, ("made",)), Config(), {"made": given}, tmp_path / "read", None)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_marker_is_never_believed(tmp_path, undisturbed, seed) -> None:
    start(tmp_path)
    draw = np.random.default_rng(seed)
    for artifact in ("made", "read"):
        marker = tmp_path / artifact / places.DONE
        marker.write_bytes(_flipped(marker.read_bytes(), int(draw.integers(marker.stat().st_size))))
    assert typed_again(tmp_path)[0] == undisturbed


def remade(folder: Path, change: Callable[[Path], None]) -> None:
    """Make the input again with other bytes, as another kind of CPU may."""

    def run(config, inputs, out):
        make(config, inputs, out)
        change(out)

    (folder / "made" / "config.json").unlink()
    execution.run(stage("make", run), Config(), {}, folder / "made", None)


def test_what_rests_on_other_bytes_is_made_again_and_says_so(tmp_path, undisturbed, capsys) -> None:
    start(tmp_path)
    remade(tmp_path, lambda out: (out / "config.json").write_bytes(b"{}"))
    capsys.readouterr()
    result, _ = typed_again(tmp_path)
    assert result != undisturbed
    assert "made from other bytes of" in capsys.readouterr().out


def test_what_rests_on_the_same_bytes_stays(tmp_path) -> None:
    start(tmp_path)
    remade(tmp_path, lambda out: None)
    typed_again(tmp_path)
    assert len(attempts.read(tmp_path / "read")) == 1


def on_another_cpu(content: bytes) -> Callable:
    """`make`, with other weights."""

    def run(config, inputs, out):
        make(config, inputs, out)
        (out / "model.safetensors").write_bytes(content * 3000)

    return run


def test_scores_of_weights_that_were_dropped_and_made_again_stay(tmp_path) -> None:
    """They may differ in their last bits, if another kind of CPU makes them again for a new reader."""
    from lib.artifacts import weights

    start(tmp_path)
    for content in (b"a", b"b"):
        made = tmp_path / "made"
        weights.drop(made, store.finished_digest(made), "the last reader")
        execution.run(stage("make", on_another_cpu(content)), Config(), {}, made, None)
        typed_again(tmp_path)
    assert len(attempts.read(tmp_path / "read")) == 1


def test_an_older_marker_without_inputs_stays_valid(tmp_path) -> None:
    start(tmp_path)
    marker = tmp_path / "read" / places.DONE
    record = {key: value for key, value in store.read_done(marker.parent).items() if key not in ("inputs", "checksum")}
    marker.write_text(json.dumps(record))
    remade(tmp_path, lambda out: (out / "config.json").write_bytes(b"{}"))
    start(tmp_path)
    assert len(attempts.read(tmp_path / "read")) == 1


def test_a_disk_that_damages_again_and_again_is_named(tmp_path) -> None:
    execution.run(MAKER, Config(), {}, tmp_path / "made", None)
    digest = store.finished_digest(tmp_path / "made")
    for turn in range(damage.MOST):
        disturb(tmp_path, KINDS[turn], "flip")
        with pytest.raises(TesseraError, match="look at the disk" if turn == damage.MOST - 1 else KINDS[turn]):
            start(tmp_path)
        if turn < damage.MOST - 1:
            execution.run(MAKER, Config(), {}, tmp_path / "made", None)
    assert digest
    with pytest.raises(TesseraError, match="look at the disk"):
        start(tmp_path)


def test_only_files_of_artifacts_that_differ_are_moved(tmp_path) -> None:
    start(tmp_path)
    mine = tmp_path / "mine.h5"
    mine.write_bytes(b"mine")
    for file in (mine, tmp_path / "made" / "values.h5", tmp_path / "made" / places.ATTEMPTS / "0001.log"):
        assert not damage.mend(Damaged(file, "said to be damaged"))
        assert file.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_damaged(tmp_path) -> None:
    start(tmp_path)
    (tmp_path / "made" / "values.h5").chmod(0)
    with pytest.raises(PermissionError):
        execution.run(READER, Config(1), {"made": tmp_path / "made"}, tmp_path / "again", None)
