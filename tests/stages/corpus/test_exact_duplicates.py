"""The stage `exact_duplicates`: brute force, blocks, damage, arrays of something else."""

import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.corpus import exact_duplicates, suffix_array
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from lib.corpus.exact import by_ranks, groups
from lib.corpus.suffixes.sorting import as_text
from tests.support import suffixes
from tests.support.corpora import write_chunk

RNG = np.random.default_rng(3)
SHARED = RNG.integers(0, 9, 12).tolist()
DOCUMENTS = [
    [*SHARED, 1, 2], [], [7, *SHARED], SHARED[:11], [4] * 30, [*SHARED[1:], 5], RNG.integers(0, 2, 60).tolist(), SHARED
]  # fmt: skip


def wanted(documents: list[list[int]], length: int) -> list[list[int]]:
    """Groups in the order of their windows."""
    found, base = defaultdict(list), 0
    for document in documents:
        for start in range(len(document) - length + 1):
            found[tuple(document[start : start + length])].append(base + start)
        base += len(document)
    return [found[window] for window in sorted(found) if len(found[window]) > 1]


def read(path: Path) -> list[list[int]]:
    positions, bounds = hdf5.read(path, "positions"), hdf5.read(path, "group_offsets").tolist()
    assert hdf5.read(path, "counts").tolist() == np.diff(bounds).tolist()
    assert bounds[-1] == len(positions)
    return [positions[low:high].tolist() for low, high in itertools.pairwise(bounds)]


@st.composite
def corpora(draw) -> list[list[int]]:
    piece = st.lists(st.integers(0, 1), max_size=8)
    shared = draw(st.lists(piece, min_size=1, max_size=3))
    return draw(
        st.lists(st.one_of(piece, st.sampled_from(shared), st.integers(0, 20).map(lambda n: [1] * n)), max_size=8)
    )


@settings(deadline=None)
@given(corpora(), st.integers(1, 6))
def test_groups_equal_brute_force(documents, length) -> None:
    tokens = np.array([token for document in documents for token in document], np.uint16)
    offsets = np.cumsum([0, *map(len, documents)])
    positions = suffixes.suffix_array(tokens, 8)
    same = groups.same_as_previous(as_text(tokens), positions, length)
    found = groups.groups(positions, same, offsets, length)
    ends = np.cumsum(found.counts)
    assert [part.tolist() for part in np.split(found.positions, ends)[:-1]] == wanted(documents, length)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    chunk = write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS, vocab_size=9)
    blocks.claim(tmp_path / "array" / places.BLOCKS, "test")
    suffix_array.run(suffix_array.Config(depth=16), {"corpus": chunk}, tmp_path / "array")
    return {"corpus": chunk, "suffix_array": tmp_path / "array/suffix_array.h5"}


def find(inputs: dict[str, Path], out: Path, **values) -> Path:
    blocks.claim(out / places.BLOCKS, "test")
    exact_duplicates.run(exact_duplicates.Config(**values), inputs, out)
    return out / "groups.h5"


@pytest.mark.parametrize("length", [1, 5, 12, 16])
def test_every_size_of_blocks_finds_every_group_once(inputs, tmp_path, length) -> None:
    paths = [find(inputs, tmp_path / f"out{size}", length=length, block_entries=size) for size in (1, 2, 7, 1000)]
    assert read(paths[0]) == wanted(DOCUMENTS, length)
    assert len({path.read_bytes() for path in paths}) == 1
    counted = Counter(len(group) for group in wanted(DOCUMENTS, length))
    histogram = zip(hdf5.read(paths[0], "histogram/count").tolist(), hdf5.read(paths[0], "histogram/groups").tolist())
    assert dict(histogram) == counted


def test_an_interrupted_run_goes_on(inputs, tmp_path, monkeypatch) -> None:
    write, done = blocks.write, []

    def dies_at_the_third(path, values) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path.name)
        write(path, values)

    monkeypatch.setattr(blocks, "write", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        find(inputs, tmp_path / "out", length=5, block_entries=40)
    monkeypatch.setattr(blocks, "write", lambda path, values: (done.append(path.name), write(path, values)))
    assert read(find(inputs, tmp_path / "out", length=5, block_entries=40)) == wanted(DOCUMENTS, 5)
    assert len(done) == len(set(done))


def test_a_corpus_without_duplicates(tmp_path) -> None:
    for name, documents in (("a", []), ("b", [[1, 2, 3]])):
        chunk = write_chunk(tmp_path / name / "chunk-00.h5", documents)
        blocks.claim(tmp_path / name / places.BLOCKS, "test")
        suffix_array.run(suffix_array.Config(depth=4), {"corpus": chunk}, tmp_path / name)
        given_inputs = {"corpus": chunk, "suffix_array": tmp_path / name}
        assert read(find(given_inputs, tmp_path / f"out-{name}", length=2)) == []


def test_an_array_that_is_too_shallow_is_refused(inputs, tmp_path) -> None:
    with pytest.raises(TesseraError, match=r"suffix_array\.h5: sorted by 16 tokens.*depth: 17"):
        find(inputs, tmp_path / "out", length=17)


def test_an_array_of_another_text_is_refused(inputs, tmp_path) -> None:
    other = write_chunk(tmp_path / "other/chunk-00.h5", [document[::-1] for document in DOCUMENTS], vocab_size=9)
    with pytest.raises(TesseraError, match="made from another text"):
        find({**inputs, "corpus": other}, tmp_path / "out", length=5)
    longer = write_chunk(tmp_path / "longer/chunk-00.h5", [*DOCUMENTS, [1]], vocab_size=9)
    with pytest.raises(TesseraError, match="a suffix array of"):
        find({**inputs, "corpus": longer}, tmp_path / "out", length=5)


@pytest.mark.parametrize("name", ["corpus", "suffix_array"])
def test_a_flipped_bit_is_found(inputs, tmp_path, name) -> None:
    path, dataset = inputs[name], {"corpus": "tokens", "suffix_array": "positions"}[name]
    with hdf5.opened(path) as file:
        place = file[dataset].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(TesseraError, match=rf"{path.name}: .*checksum"):
        find(inputs, tmp_path / "out", length=5)


def test_entries_that_are_no_positions_are_an_error(inputs, tmp_path) -> None:
    tokens = hdf5.read(inputs["corpus"], "tokens")
    foreign = tmp_path / "foreign.h5"
    with hdf5.create(foreign) as file:
        positions = hdf5.read(inputs["suffix_array"], "positions")
        positions[3] = len(tokens)
        hdf5.write(file, "positions", positions, contiguous=True)
        file.attrs.update(depth=16, n_tokens=len(tokens))
    with pytest.raises(TesseraError, match=rf"entry 3 is {len(tokens)}, which is not a position"):
        find({**inputs, "suffix_array": foreign}, tmp_path / "out", length=5)


def test_blocks_read_beyond_their_end_in_pieces(inputs, tmp_path, monkeypatch) -> None:
    reads, inner = [], by_ranks._read
    monkeypatch.setattr(by_ranks, "_read", lambda *given: (reads.append(given[-2] - given[-3]), inner(*given))[1])
    find(inputs, tmp_path / "out", length=5, block_entries=8)
    assert max(reads) <= 9
