"""The stage `duplicate_groups`: brute force, the suffix-array way, ranks, memory, resuming, damage."""

import itertools
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.corpus import duplicate_groups, exact_duplicates, suffix_array
from lib.base import blocks, files, hdf5, mpi, places, seals
from lib.base.errors import Damaged, TesseraError
from lib.corpus import chunks
from lib.corpus.exact import groups_file, layout, repeats, whole_by_ranks
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


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    find(corpus, tmp_path / "one", length=20)
    three, one = (contents(tmp_path / name) for name in ("three", "one"))
    for name, data in one.items():  # seals name the task
        assert three[name][: -seals.SIZE] == data[: -seals.SIZE] or name == places.GROUPS
    assert three[places.GROUPS] == one[places.GROUPS]


def test_a_killed_run_goes_on_with_the_shards_that_lack(small, tmp_path, monkeypatch) -> None:
    corpus, made = write(tmp_path, random_corpus()), []
    whole, create = find(corpus, tmp_path / "whole", length=6), blocks.create

    def dies_at_the_third(path: Path) -> Any:
        made.append(path.name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return create(path)

    monkeypatch.setattr(blocks, "create", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        find(corpus, tmp_path / "out", length=6)
    files.publish(tmp_path / "out" / places.BLOCKS / made[0], tmp_path / "out" / made[0])  # as if it died later
    damaged = tmp_path / "out" / places.BLOCKS / made[1]
    damaged.write_bytes(damaged.read_bytes()[:-30] + bytes(30))
    find(corpus, tmp_path / "out", length=6)
    assert sorted(made[3:]) == sorted({*made[1:3], places.group_shard(3)})  # the first was kept
    assert contents(tmp_path / "out") == contents(whole.parent)


def test_a_damaged_shard_is_named_by_who_reads_it(small, tmp_path) -> None:
    corpus = write(tmp_path, random_corpus())
    path = find(corpus, tmp_path / "out", length=6)
    shard = path.with_name(places.group_shard(2))
    with hdf5.opened(shard) as file:
        place = file["position"].id.get_chunk_info(0).byte_offset
    data = bytearray(shard.read_bytes())
    data[place + 5] ^= 1
    shard.write_bytes(data)
    with pytest.raises(Damaged, match=rf"{shard.name}: "):
        list(members(path, corpus, 6))
    shard.unlink()
    with pytest.raises(TesseraError, match=rf"{shard.name}: missing"):
        list(members(path, corpus, 6))


def test_groups_of_other_chunks_or_lengths_are_refused(small, tmp_path) -> None:
    corpus = write(tmp_path, random_corpus())
    path = find(corpus, tmp_path / "out", length=6)
    with pytest.raises(
        TesseraError, match="its groups are of 3 chunks, which are not the 3 given, or not in this order"
    ):
        list(members(path, corpus[::-1], 6))
    with pytest.raises(TesseraError, match="its groups have 6 tokens, but length is 7"):
        list(members(path, corpus, 7))


def test_a_damaged_chunk_is_found(small, tmp_path) -> None:
    corpus = write(tmp_path, random_corpus())
    with hdf5.opened(corpus[1]) as file:
        place = file["tokens"].id.get_offset()
    data = bytearray(corpus[1].read_bytes())
    data[place] ^= 1
    corpus[1].write_bytes(data)
    with pytest.raises(Damaged, match=r"chunk-01\.h5: .*checksum"):
        find(corpus, tmp_path / "out", length=6)


def test_too_little_memory_says_how_much_is_missing(small, tmp_path, monkeypatch) -> None:
    corpus = write(tmp_path, [[[3] * 5000]])
    monkeypatch.setattr(whole_by_ranks, "PROGRAM_BYTES", 0.5e9 - 100_000)
    with pytest.raises(TesseraError, match=r"4995 windows begin with the same bits .* set memory_gb to at least 0\.\d"):
        find(corpus, tmp_path / "out", length=6, memory_gb=0.5)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"memory_gb": 0.4}])
def test_settings_that_cannot_work_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        duplicate_groups.Config(**wrong)


def test_arrays_stay_within_the_memory_that_was_given(tmp_path) -> None:
    """Of two million windows, nearly all repeated, in 45 MB: less than their entries alone, of 24 bytes, take."""
    documents = RNG.integers(0, 60_000, (1000, 1000)).astype(np.uint16)
    corpus = chunks.open_chunks([write_chunk(tmp_path / places.chunk(row), documents) for row in range(2)])
    blocks.claim(tmp_path / places.BLOCKS, "test")
    given, room = (tmp_path, tmp_path / places.BLOCKS, corpus, 100), 45e6
    tracemalloc.start()
    whole_by_ranks.find(*given, whole_by_ranks.PROGRAM_BYTES + room, mpi.world(), Layout(6, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < room < 2 * 901 * 1000 * repeats.ENTRY_BYTES * 1.1
    assert hdf5.attributes(tmp_path / places.GROUPS)["n_groups"] == 901 * 1000
