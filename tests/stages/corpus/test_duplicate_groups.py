"""The stage `duplicate_groups`: brute force, the suffix-array way, ranks, memory, resuming, damage."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.corpus import duplicate_groups, exact_duplicates, suffix_array
from lib.base import blocks, hdf5, mpi, places
from lib.corpus import chunks
from lib.corpus.exact import groups_file, layout, whole_by_ranks
from lib.corpus.exact.layout import Layout
from tests.support import threads
from tests.support.corpora import write_chunk
from tests.support.ranks import run_ranks

RNG = np.random.default_rng(5)
SHARED = RNG.integers(0, 9, 12).tolist()
FIBONACCI = [[0], [0, 1]]
while len(FIBONACCI[-1]) < 100:
    FIBONACCI.append(FIBONACCI[-1] + FIBONACCI[-2])
CORPORA = {
    "several": [[[*SHARED, 1, 2], [], SHARED[:4]], [[7, *SHARED], [4] * 30], [], [RNG.integers(0, 2, 60).tolist()]],
    "one token": [[[3] * 90], [[3] * 5, [3] * 40]],
    "fibonacci": [[FIBONACCI[-1]], [FIBONACCI[-2], FIBONACCI[-3]]],
    "large ids": [[[2**32 - 1, 2**32 - 2] * 8], [[2**32 - 2, 2**32 - 1] * 8, [0, 2**32 - 1]]],
    "empty": [[], [[], []]],
}
Places = list[tuple[int, int]]


def wanted(corpus: list[list[list[int]]], length: int) -> list[Places]:
    """The groups by their definition: (chunk, position) of the members of each."""
    found: dict[tuple[int, ...], Places] = defaultdict(list)
    for chunk, documents in enumerate(corpus):
        base = 0
        for document in documents:
            for start in range(len(document) - length + 1):
                found[tuple(document[start : start + length])].append((chunk, base + start))
            base += len(document)
    return sorted(group for group in found.values() if len(group) > 1)


def write(folder: Path, corpus: list[list[list[int]]]) -> list[Path]:
    size = max((token for chunk in corpus for document in chunk for token in document), default=0) + 1
    return [write_chunk(folder / places.chunk(row), one, vocab_size=size) for row, one in enumerate(corpus)]


def members(path: Path, corpus: list[Path], length: int, **at_once) -> Iterator[Places]:
    for part in groups_file.open_parts(path, chunks.open_chunks(corpus), length):
        for block in groups_file.each_block(part, **at_once):
            for low, high in itertools.pairwise(block.group_offsets.tolist()):
                yield list(zip(block.chunk[low:high].tolist(), block.position[low:high].tolist()))


def find(corpus: list[Path], out: Path, **values: Any) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    blocks.claim(out / places.BLOCKS, "test")
    duplicate_groups.run(duplicate_groups.Config(**values), {"corpus": corpus}, out)
    return out / places.GROUPS


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.h5")}


@pytest.fixture
def small(monkeypatch) -> None:
    """Cells and shards of a few tokens, blocks of some more."""
    monkeypatch.setattr(layout, "CELL_TOKENS", 8)
    monkeypatch.setattr(layout, "SHARD_CELLS", 2)
    monkeypatch.setattr(layout, "MOST_SHARDS", 2)
    monkeypatch.setattr(whole_by_ranks, "BLOCK_TOKENS", 13)
    monkeypatch.setattr(whole_by_ranks, "PROGRAM_BYTES", 0)


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("length", [1, 5, 12])
def test_groups_equal_brute_force(small, tmp_path, name, length) -> None:
    corpus = write(tmp_path, CORPORA[name])
    path = find(corpus, tmp_path / "out", length=length)
    groups = list(members(path, corpus, length, members=3))
    assert sorted(groups) == wanted(CORPORA[name], length)
    counted = Counter(map(len, groups))
    assert dict(zip(*(hdf5.read(path, f"histogram/{column}").tolist() for column in ("count", "groups")))) == counted
    assert hdf5.attributes(path)["n_members"] == sum(map(len, groups))


@st.composite
def corpora(draw) -> list[list[list[int]]]:
    piece = st.lists(st.integers(0, 2), max_size=8)
    shared = draw(st.lists(piece, min_size=1, max_size=3))
    document = st.one_of(piece, st.sampled_from(shared), st.integers(0, 20).map(lambda n: [1] * n))
    return draw(st.lists(st.lists(document, max_size=6), min_size=1, max_size=3))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpora(), st.integers(1, 6), st.integers(0, 2), st.integers(0, 4), st.integers(2_000, 40_000))
def test_any_layout_and_memory_finds_every_group(small, tmp_path_factory, corpus, length, shards, more, room) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    written = write(folder, corpus)
    blocks.claim(folder / places.BLOCKS, "test")
    cut, opened = Layout(shards + more, shards), chunks.open_chunks(written)
    whole_by_ranks.find(folder, folder / places.BLOCKS, opened, length, 20_000 + room, mpi.world(), cut)
    assert sorted(members(folder / places.GROUPS, written, length)) == wanted(corpus, length)


@pytest.mark.parametrize("name", ["several", "one token", "fibonacci", "large ids"])
def test_a_single_chunk_has_the_groups_of_its_suffix_array(small, tmp_path, name) -> None:
    whole = [[document for chunk in CORPORA[name] for document in chunk]]
    corpus = write(tmp_path, whole)
    blocks.claim(tmp_path / "array" / places.BLOCKS, "test")
    suffix_array.run(suffix_array.Config(depth=8), {"corpus": corpus[0]}, tmp_path / "array")
    blocks.claim(tmp_path / "other" / places.BLOCKS, "test")
    given = {"corpus": corpus[0], "suffix_array": tmp_path / "array"}
    exact_duplicates.run(exact_duplicates.Config(length=5), given, tmp_path / "other")
    by_hash = find(corpus, tmp_path / "out", length=5)
    assert sorted(members(by_hash, corpus, 5)) == sorted(members(tmp_path / "other" / places.GROUPS, corpus, 5))


def random_corpus() -> list[list[list[int]]]:
    """Some thousand tokens with pieces that stand in several chunks."""
    pieces = [RNG.integers(0, 50, RNG.integers(8, 40)).tolist() for _ in range(30)]
    chosen = RNG.integers(0, 30, (3, 40))
    return [[[*pieces[one], *RNG.integers(0, 50, 5).tolist()] for one in row] for row in chosen]


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_and_memory_change_no_byte(small, tmp_path, ranks) -> None:
    corpus = write(tmp_path, random_corpus())
    opened = chunks.open_chunks(corpus)
    for name, size, room in (("one", 1, 1e9), ("many", ranks, 1e9), ("little", ranks, 60_000)):
        out = tmp_path / name
        blocks.claim(out / places.BLOCKS, "test")
        given = (out, out / places.BLOCKS, opened, 6, room)
        threads.run(lambda given=given: whole_by_ranks.find(*given, mpi.world()), size)
    assert contents(tmp_path / "many") == contents(tmp_path / "one") == contents(tmp_path / "little")
    assert len(contents(tmp_path / "one")) == 5


def test_mpi_ranks_give_the_same_bytes(tmp_path) -> None:
    documents = [RNG.integers(0, 9, 300).tolist() for _ in range(150)]
    corpus = write(tmp_path, [[*documents, *documents[:9]], documents[3:70]])
    result = run_ranks("duplicate_groups", {"inputs": {"corpus": corpus}, "length": 20}, tmp_path / "three", 3)
    assert result.returncode == 0, result.stderr
    assert sum(1 for _ in members(tmp_path / "three" / places.GROUPS, corpus, 20)) > 9 * 281
    again = run_ranks("duplicate_groups", {"inputs": {"corpus": corpus}, "length": 20}, tmp_path / "one", 1)
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "three") == contents(tmp_path / "one")
