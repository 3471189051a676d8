"""The stage `count`: both methods against brute force, resuming, damage."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from jobs.corpus import count
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from tests.support.corpora import write_chunk

CORPUS = [
    [[1, 2, 1, 2, 1], [], [2, 1], [0] * 9],
    [[2, 1, 2], [1], [0, 0, 0], [1, 2]],
]
QUERIES = [[1, 2], [0, 0], [2, 1], [1, 2], [3, 3]]
WANTED = [[2, 2], [8, 2], [3, 1], [2, 2], [0, 0]]


def write_queries(path: Path, queries=QUERIES) -> Path:
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.array(queries, dtype="<u2"))
    return path


def write_array(path: Path, documents: list[list[int]], depth: int = 4, **attributes) -> Path:
    tokens = list(itertools.chain.from_iterable(documents))
    positions = np.array(sorted(range(len(tokens)), key=lambda i: tokens[i : i + depth]), dtype="<u4")
    with hdf5.create(path) as file:
        hdf5.write(file, "positions", positions, contiguous=True)
        hdf5.write(file, "checksums", chunks.checksums(positions))
        file.attrs.update(depth=depth, n_tokens=len(tokens), **attributes)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> dict:
    return {
        "corpus": [write_chunk(tmp_path / places.chunk(i), texts, vocab_size=4) for i, texts in enumerate(CORPUS)],
        "queries": write_queries(tmp_path / "queries.h5"),
        "suffix_arrays": [write_array(tmp_path / f"array-{i}.h5", texts) for i, texts in enumerate(CORPUS)],
    }


def counts(inputs: dict, out: Path, **settings) -> np.ndarray:
    blocks.claim(out / places.BLOCKS, "test")
    count.run(count.Config(**settings), inputs, out)
    return hdf5.read(out / "counts.h5", "counts")


def test_both_methods_count_inside_documents_in_every_chunk(inputs, tmp_path) -> None:
    scanned = counts(inputs, tmp_path / "a", block_tokens=3)
    assert scanned.tolist() == WANTED
    assert scanned.dtype == np.int64
    searched = counts(inputs, tmp_path / "b", method="suffix_array", block_tokens=3)
    assert searched.tolist() == WANTED
    assert (tmp_path / "a/counts.h5").read_bytes() == (tmp_path / "b/counts.h5").read_bytes()


def test_a_query_longer_than_the_depth_of_the_array(inputs, tmp_path) -> None:
    inputs["queries"] = write_queries(tmp_path / "long.h5", [[0, 0, 0, 0, 0, 0], [1, 2, 1, 2, 1, 2]])
    assert counts(inputs, tmp_path / "a", method="suffix_array").tolist() == [[4, 0], [0, 0]]


def test_an_interrupted_count_goes_on_with_the_blocks_that_are_missing(inputs, tmp_path, monkeypatch) -> None:
    out, done = tmp_path / "out", []
    write = blocks.write

    def dies_at_the_third(path, arrays):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        write(path, arrays)

    monkeypatch.setattr(blocks, "write", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        counts(inputs, out, block_tokens=4)
    assert not (out / "counts.h5").exists()
    monkeypatch.setattr(blocks, "write", lambda path, arrays: (done.append(path), write(path, arrays)))
    assert counts(inputs, out, block_tokens=4).tolist() == WANTED
    assert len(done) == len(set(done)) == 4 + 3  # 16 and 9 tokens in blocks of 4, none twice


def test_a_flipped_bit_is_found_by_both_methods(inputs, tmp_path) -> None:
    path = inputs["corpus"][1]
    with hdf5.opened(path) as file:
        place = file["tokens"].id.get_offset()
    flip(path, place + 4)
    for method in ("scan", "suffix_array"):
        with pytest.raises(TesseraError, match=r"chunk-01\.h5: tokens 0 to .*checksum"):
            counts(inputs, tmp_path / method, method=method)


def test_a_flipped_bit_in_a_suffix_array_is_found(inputs, tmp_path) -> None:
    path = inputs["suffix_arrays"][0]
    with hdf5.opened(path) as file:
        place = file["positions"].id.get_offset()
    flip(path, place)
    with pytest.raises(TesseraError, match=r"array-0\.h5: entries .*checksum"):
        counts(inputs, tmp_path / "a", method="suffix_array")


def test_an_array_made_elsewhere_needs_positions_only_and_is_held_to_their_order(inputs, tmp_path) -> None:
    (path, *_), made = inputs["suffix_arrays"], hdf5.read(inputs["suffix_arrays"][0], "positions")
    tokens = hdf5.read(inputs["corpus"][0], "tokens").tolist()
    right = np.array(sorted(range(len(tokens)), key=lambda i: (tokens[i : i + 1024], i)), "<u4")
    for positions, attributes in ((right, {}), (made, {"depth": 4})):
        with hdf5.create(path) as file:
            hdf5.write(file, "positions", positions, contiguous=True)
            file.attrs.update(attributes)
        assert counts(inputs, tmp_path / str(len(attributes)), method="suffix_array").tolist() == WANTED
    for positions, entry in (
        (made, r"\d+"),
        (np.zeros_like(made), 1),
        (np.append(right[:-1], right[0]), len(right) - 1),
    ):
        with hdf5.create(path) as file:
            hdf5.write(file, "positions", positions, contiguous=True)
        with pytest.raises(TesseraError, match=rf"array-0\.h5: entry {entry} is .* by 1024 tokens; make"):
            counts(inputs, tmp_path / "wrong", method="suffix_array")
    with hdf5.create(path) as file:
        hdf5.write(file, "positions", right.astype(float), contiguous=True)
    with pytest.raises(TesseraError, match=r"array-0\.h5: float64 .*integers"):
        counts(inputs, tmp_path / "wrong", method="suffix_array")


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_ids_beyond_the_vocabulary_are_named(inputs, tmp_path) -> None:
    inputs["queries"] = write_queries(tmp_path / "q.h5", [[1, 2], [1, 4]])
    with pytest.raises(TesseraError, match=r"q\.h5: query 1 has the id 4, but vocab_size is 4.*chunk-00\.h5"):
        counts(inputs, tmp_path / "a")
    write_queries(tmp_path / "q.h5")
    write_chunk(inputs["corpus"][0], [[1, 7, 1]], vocab_size=4, dtype="<u2")
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: token 1 has the id 7"):
        counts(inputs, tmp_path / "a")


def test_suffix_arrays_that_do_not_fit_are_refused(inputs, tmp_path) -> None:
    swapped = {**inputs, "suffix_arrays": inputs["suffix_arrays"][::-1]}
    with pytest.raises(TesseraError, match=r"array-1\.h5: a suffix array of 9 tokens .* in the order of the corpus"):
        counts(swapped, tmp_path / "a", method="suffix_array")
    foreign = tmp_path / "array-foreign.h5"
    write_array(foreign, CORPUS[0], tokens_digest="of another text")
    of_another = {**inputs, "suffix_arrays": [foreign, inputs["suffix_arrays"][1]]}
    with pytest.raises(TesseraError, match=r"array-foreign\.h5: made from another text than .*chunk-00\.h5"):
        counts(of_another, tmp_path / "a", method="suffix_array")
    with pytest.raises(TesseraError, match="1 given for 2 chunks"):
        counts({**inputs, "suffix_arrays": inputs["suffix_arrays"][:1]}, tmp_path / "a", method="suffix_array")


def test_queries_may_be_the_targets_of_a_finished_artifact(inputs, tmp_path) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    write_queries(folder / "targets.h5")
    assert counts({**inputs, "queries": folder}, tmp_path / "a").tolist() == WANTED
