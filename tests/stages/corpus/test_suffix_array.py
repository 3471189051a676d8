"""The stage `suffix_array`: brute force, ranks, resuming, damage, memory."""

from pathlib import Path

import numpy as np
import pytest

from jobs.corpus import suffix_array
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.suffixes import by_ranks
from tests.support.corpora import write_chunk
from tests.support.ranks import run_ranks

RNG = np.random.default_rng(7)
DOCUMENTS = [RNG.integers(0, 3, size).tolist() for size in (900, 0, 1, 300)] + [[1] * 800]
TOKENS = [token for document in DOCUMENTS for token in document]


def wanted(depth: int, tokens: list[int] = TOKENS) -> list[int]:
    return sorted(range(len(tokens)), key=lambda i: (tokens[i : i + depth], i))


def build(chunk: Path, out: Path, **settings) -> Path:
    blocks.claim(out / places.BLOCKS, "test")
    suffix_array.run(suffix_array.Config(**settings), {"corpus": chunk}, out)
    return out / "suffix_array.h5"


@pytest.fixture
def chunk(tmp_path: Path) -> Path:
    return write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS, vocab_size=3)


@pytest.mark.parametrize(("dtype", "depth"), [("<u2", 1024), ("<u2", 6), ("<u4", 1024), ("<u4", 1)])
def test_equals_brute_force(tmp_path, dtype, depth) -> None:
    chunk = write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS, dtype=dtype)
    path = build(chunk.parent, tmp_path / "out", depth=depth, range_tokens=100)
    positions = hdf5.read(path, "positions")
    assert positions.tolist() == wanted(depth)
    assert positions.dtype == np.uint32
    assert hdf5.read(path, "checksums").tolist() == chunks.checksums(positions).tolist()
    assert hdf5.attributes(path)["depth"] == depth
    assert hdf5.attributes(path)["n_tokens"] == len(TOKENS)
    assert hdf5.attributes(path)["tokens_digest"] == chunks.digest(chunks.open_chunk(chunk))


@pytest.mark.parametrize("documents", [[], [[]], [[5]], [[65535, 65535], [65535]]])
def test_tiny_chunks(tmp_path, documents) -> None:
    path = build(write_chunk(tmp_path / "chunk-00.h5", documents), tmp_path / "out", range_tokens=1)
    assert hdf5.read(path, "positions").tolist() == wanted(1024, [t for d in documents for t in d])


def test_neither_ranks_nor_ranges_nor_memory_change_a_byte(chunk, tmp_path) -> None:
    config = {"inputs": {"corpus": chunk}, "depth": 64}
    for ranks, settings in ((1, {}), (2, {"range_tokens": 50}), (3, {"range_tokens": 7, "memory_gb": 1e-6})):
        result = run_ranks("suffix_array", {**config, **settings}, tmp_path / f"out{ranks}", ranks)
        assert result.returncode == 0, result.stderr
    first, *others = [(tmp_path / f"out{ranks}/suffix_array.h5").read_bytes() for ranks in (1, 2, 3)]
    assert [first] * 2 == others
    assert hdf5.read(tmp_path / "out1/suffix_array.h5", "positions").tolist() == wanted(64)
    assert not (tmp_path / "out1" / places.BLOCKS).exists()


def test_an_interrupted_run_does_the_rest_only(chunk, tmp_path, monkeypatch) -> None:
    whole, out, sorted_sizes = build(chunk, tmp_path / "whole"), tmp_path / "out", []
    sort = by_ranks.sort_suffixes

    def sorting(text, positions, keys, depth, dies: bool) -> None:
        if dies and len(sorted_sizes) == 12:
            raise KeyboardInterrupt
        sorted_sizes.append(len(positions))
        sort(text, positions, keys, depth)

    monkeypatch.setattr(by_ranks, "RECORD_SECONDS", 0.0)
    monkeypatch.setattr(by_ranks, "sort_suffixes", lambda *given: sorting(*given, dies=True))
    with pytest.raises(KeyboardInterrupt):
        build(chunk, out, range_tokens=100)
    assert not (out / "suffix_array.h5").exists()
    done = sum(sorted_sizes)
    monkeypatch.setattr(by_ranks, "sort_suffixes", lambda *given: sorting(*given, dies=False))
    sorted_sizes.clear()
    assert build(chunk, out, range_tokens=61).read_bytes() == whole.read_bytes()
    assert len(TOKENS) - done <= sum(sorted_sizes) < len(TOKENS) - done / 2


def test_stopped_after_publishing_nothing_is_sorted_again(chunk, tmp_path, monkeypatch) -> None:
    before = build(chunk, tmp_path / "out").read_bytes()
    monkeypatch.setattr(by_ranks, "sort_suffixes", None)
    assert build(chunk, tmp_path / "out").read_bytes() == before


def test_what_was_damaged_since_it_was_recorded_is_sorted_again(chunk, tmp_path) -> None:
    path = build(chunk, tmp_path / "out", range_tokens=61)
    before = path.read_bytes()
    with hdf5.opened(path) as file:
        place = file["positions"].id.get_offset()
    path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
    assert build(chunk, tmp_path / "out", range_tokens=61).read_bytes() == before


def test_several_chunks_are_refused(tmp_path) -> None:
    for index in range(2):
        write_chunk(tmp_path / places.chunk(index), DOCUMENTS)
    with pytest.raises(TesseraError, match=r"2 chunks, .*name the file"):
        build(tmp_path, tmp_path / "out")


def test_a_flipped_bit_in_the_text_is_found(chunk, tmp_path) -> None:
    with hdf5.opened(chunk) as file:
        place = file["tokens"].id.get_offset()
    data = bytearray(chunk.read_bytes())
    data[place + 10] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: tokens 0 to .*checksum|vocab_size"):
        build(chunk, tmp_path / "out")


def test_ids_beyond_the_vocabulary_are_named(tmp_path) -> None:
    chunk = write_chunk(tmp_path / "chunk-00.h5", [[1, 2, 9]], vocab_size=3)
    with pytest.raises(TesseraError, match="token 2 has the id 9"):
        build(chunk, tmp_path / "out")


def test_a_text_that_changes_is_an_error(chunk, tmp_path, monkeypatch) -> None:
    sort = by_ranks.sort_suffixes
    monkeypatch.setattr(by_ranks, "sort_suffixes", lambda *given: (chunk.touch(), sort(*given)))
    with pytest.raises(TesseraError, match=r"chunk-00.*leave it alone"):
        build(chunk, tmp_path / "out", range_tokens=100)
    assert not (tmp_path / "out/suffix_array.h5").exists()
