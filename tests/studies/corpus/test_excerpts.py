"""Near-duplicates as texts: which are chosen, and where their windows stand, from chunks with known documents."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.artifacts import store
from lib.base import hdf5
from lib.base.errors import Damaged
from lib.corpus import chunks
from lib.reporting.excerpts import CHANGED, LACKING
from lib.studies.corpus import excerpts, shown
from lib.studies.corpus.excerpts import Window

BUCKETS = np.array([10, 10, 30, 0])
NEAR = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12)
DOCUMENTS = [0, 7, 7, 60, 100]  # where they begin; the second is empty


@settings(max_examples=50)
@given(NEAR)
def test_the_nearest_the_middle_and_the_farthest_of_the_first_target_of_a_bucket(near: list[tuple[int, int]]) -> None:
    near = sorted(near)
    target, distance = np.array(near, int).reshape(-1, 2).T
    found = excerpts.chosen(target, distance, BUCKETS)
    for bucket in (10, 30, 0):
        having = [one for one in range(4) if BUCKETS[one] == bucket and any(t == one and d for t, d in near)]
        assert (bucket in found) == bool(having)
        if having:
            inexact = sorted(d for t, d in near if t == having[0] and d)
            assert distance[found[bucket]].tolist() == [
                inexact[i] for i in sorted({0, (len(inexact) - 1) // 2, len(inexact) - 1})
            ]
            assert set(target[found[bucket]]) == {having[0]}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two finished chunks of 100 tokens."""
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        tokens, offsets = np.arange(100, dtype="<u2") + 100 * number, np.array(DOCUMENTS, "<u8")
        with hdf5.create(tmp_path / str(number) / f"chunk-{number:02d}.h5") as file:
            for name, values, sums in (("tokens", tokens, "checksums"), ("offsets", offsets, "offsets_checksums")):
                hdf5.write(file, name, values, contiguous=True)
                hdf5.write(file, sums, chunks.checksums(values))
            file.attrs["vocab_size"] = 200
        store.write_done(tmp_path / str(number), "0" * 12, "tokenize", 1)
    return [tmp_path / "0", tmp_path / "1"]


def test_windows_know_their_document(folders: list[Path]) -> None:
    found = shown._windows(folders, np.array([1, 0, 1]), np.array([60, 3, 9]), 4)
    assert found == [
        Window([160, 161, 162, 163], "chunk-01", 3, 0),
        Window([3, 4, 5, 6], "chunk-00", 0, 3),
        Window([109, 110, 111, 112], "chunk-01", 2, 2),
    ]


def test_a_flipped_token_is_found(folders: list[Path]) -> None:
    file = folders[1] / "chunk-01.h5"
    content = file.read_bytes()
    file.write_bytes(content.replace(np.uint16(109).tobytes() + np.uint16(110).tobytes(), b"\0\0\0\0"))
    assert file.read_bytes() != content
    with pytest.raises(Damaged, match="tokens 0 to"):
        shown._windows(folders, np.array([1]), np.array([9]), 4)


def test_passages_say_how_many_how_far_and_where() -> None:
    target, other = Window([1, 2, 3], "chunk-00", 1, 2), Window([1, 4, 3], "chunk-07", 12345, 6)
    first, second = excerpts.passages(lambda ids: "".join(map(str, ids)), target, 1, [(1, other)])
    assert first.label == "The target, 1 exact copy; one is in chunk-00, document 1, token 2"
    assert second.label == "Distance 1; chunk-07, document 12,345, token 6"
    assert [(text, mark) for text, mark in second.segments if mark] == [("2", LACKING), ("4", CHANGED)]
