import os
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.corpus import chunks, targets
from lib.corpus.near import scan
from tests.support.corpora import write_chunk

DOCUMENTS = [[1, 2, 3], [], [65535, 0]]


def test_the_map_shows_what_was_written(tmp_path: Path) -> None:
    chunk = chunks.open_chunk(write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS))
    assert isinstance(chunk.tokens, np.memmap)
    assert (chunk.tokens.tolist(), chunk.offsets.tolist()) == ([1, 2, 3, 65535, 0], [0, 3, 3, 5])
    assert chunk.n_tokens == 5
    assert chunk.vocab_size == 65536
    chunks.check(chunk, 0, 5)


def test_an_empty_chunk_and_one_of_empty_documents(tmp_path: Path) -> None:
    for name, documents in (("a", []), ("b", [[], []])):
        chunk = chunks.open_chunk(write_chunk(tmp_path / f"{name}.h5", documents))
        assert chunk.n_tokens == 0
        chunks.check(chunk, 0, 0)


def test_a_directory_stands_for_its_chunks_by_number(tmp_path: Path) -> None:
    for index in (100, 98, 99):
        write_chunk(tmp_path / f"chunk-{index:02d}.h5", [[index]])
    assert [int(chunk.tokens[0]) for chunk in chunks.open_chunks([tmp_path])] == [98, 99, 100]
    (tmp_path / "chunk-99.h5").unlink()
    with pytest.raises(TesseraError, match=r"chunk-99\.h5 is missing, though there is a chunk-100\.h5"):
        chunks.open_chunks([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TesseraError, match=r"no chunk-\*\.h5 in it"):
        chunks.open_chunks([tmp_path / "empty"])


def many_documents(path: Path, documents: int, length: int) -> Path:
    """A chunk of equal documents, of zeros, whose tokens take no room on the disk."""
    offsets = np.arange(documents + 1, dtype="<u8") * np.uint64(length)
    layout = {"tokens": (documents * length, np.dtype("<u2")), "offsets": (documents + 1, np.dtype("<u8"))}
    starts = hdf5.reserve(path, layout, {"vocab_size": 9})
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), offsets, starts["offsets"])
    return path


def test_many_documents_take_no_memory(tmp_path: Path) -> None:
    """Opening a chunk, finding documents and drawing windows hold some blocks of its 3 million offsets, not all."""
    documents, length = 3_000_000, 120
    path = many_documents(tmp_path / "chunk-00.h5", documents, length)
    tracemalloc.start()
    chunk = chunks.open_chunk(path)
    assert tracemalloc.get_traced_memory()[1] < 25e6
    firsts, _ = scan._window_starts(chunk.offsets, 100, 10**8, 10**8 + 1000)
    assert firsts.tolist() == [at for at in range(10**8, 10**8 + 1000) if at % length == 0]
    drawn, _ = targets.choose_random([chunk.tokens], [chunk.offsets], 100, 5, 0, 1)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()
    assert (len(chunk.offsets), len(drawn)) == (documents + 1, 5)
    assert all(position % length <= length - 100 for _, position in drawn)


def test_offsets_that_do_not_rise_across_blocks_are_refused(tmp_path: Path) -> None:
    at = chunks.CHECKED_TOKENS
    for wrong in (0, 1, at - 1, at, at + 1, at + 3):
        path = many_documents(tmp_path / "chunk-00.h5", at + 3, 2)
        with h5py.File(path, "r+") as file:
            file["offsets"][wrong] = 2 * wrong + 3 if wrong != at - 1 else 2 * at + 1
        with pytest.raises(TesseraError, match="offsets must rise from 0 to the number of tokens"):
            chunks.open_chunk(path)


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_an_id_beyond_the_vocabulary_is_named(tmp_path: Path, dtype: str) -> None:
    chunk = chunks.open_chunk(write_chunk(tmp_path / "chunk-00.h5", [[0, 1], [4, 5]], vocab_size=5, dtype=dtype))
    chunks.check(chunk, 0, 3)
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: token 3 has the id 5, but vocab_size is 5"):
        chunks.check(chunk, 1, 4)


def test_a_flipped_bit_is_found_in_the_block_that_holds_it(tmp_path: Path) -> None:
    path = write_chunk(tmp_path / "chunk-00.h5", [np.arange(chunks.CHECKED_TOKENS + 10) % 50])
    with h5py.File(path) as file:
        start = file["tokens"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(start + 2 * (chunks.CHECKED_TOKENS + 3))
        file.write(b"\x07")
    chunk = chunks.open_chunk(path)
    chunks.check(chunk, 0, chunks.CHECKED_TOKENS)
    with pytest.raises(TesseraError, match=f"tokens {chunks.CHECKED_TOKENS} to"):
        chunks.check(chunk, chunks.CHECKED_TOKENS - 1, chunks.CHECKED_TOKENS + 1)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = write_chunk(tmp_path / "chunk-00.h5", [list(range(5000))])
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 4000)
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: truncated"):
        chunks.open_chunk(path)


def test_foreign_layouts_are_refused_by_name(tmp_path: Path) -> None:
    def refuse(words: str, **datasets: np.ndarray) -> None:
        path = tmp_path / "foreign.h5"
        with h5py.File(path, "w") as file:
            for name, array in datasets.items():
                file.create_dataset(name, data=array, chunks=(1,) if name == "packed" else None)
        with pytest.raises(TesseraError, match=words):
            chunks.open_chunk(path)

    tokens = np.arange(4, dtype="<u2")
    refuse("no dataset 'offsets'", tokens=tokens)
    refuse("offsets must rise from 0 to the number of tokens, 4", tokens=tokens, offsets=np.array([0, 3], "<u8"))
    refuse("offsets must rise", tokens=tokens, offsets=np.array([0, 3, 1, 4], "<u8"))
    refuse("1-D uint16 or uint32", tokens=tokens.astype("<i8"), offsets=np.array([0, 4], "<u8"))
    refuse(
        "offsets are uint64 of shape \\(2, 2\\); they must be 1-D",
        tokens=tokens,
        offsets=np.array([[0, 1], [2, 4]], "<u8"),
    )
    refuse("offsets are float64", tokens=tokens, offsets=np.array([0.0, 4.0]))
    refuse("offsets are uint64 of shape \\(\\)", tokens=tokens, offsets=np.uint64(4))


def test_attributes_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    for name, value, words in (
        ("n_tokens", 6, "n_tokens is 6, but it has 5"),
        ("n_documents", 2, "n_documents is 2, but it has 3"),
        ("vocab_size", 65537, "vocab_size 65537 does not fit uint16"),  # an id would be taken for one 65,536 lower
        ("vocab_size", 0, "vocab_size 0"),
        ("vocab_size", "many", "vocab_size is 'many'; it must be a whole number"),
    ):
        path = write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS)
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value
        with pytest.raises(TesseraError, match=rf"chunk-00\.h5: .*{words}"):
            chunks.open_chunk(path)


def test_a_group_is_no_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file.create_group("tokens")
    with pytest.raises(TesseraError, match=r"foreign\.h5: 'tokens' is a group"):
        chunks.open_chunk(tmp_path / "foreign.h5")


def test_a_flipped_bit_in_the_offsets_is_found(tmp_path: Path) -> None:
    path = write_chunk(tmp_path / "chunk-00.h5", DOCUMENTS)
    with h5py.File(path, "r+") as file:
        file["offsets_checksums"] = chunks.checksums(file["offsets"][()])
    chunks.open_chunk(path)
    with h5py.File(path, "r+") as file:
        file["offsets"][1] ^= np.uint64(1)
    with pytest.raises(TesseraError, match=r"chunk-00\.h5: offsets are not what was written \(checksum\)"):
        chunks.open_chunk(path)


def test_packed_tokens_cannot_be_mapped(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("tokens", data=np.arange(4, dtype="<u2"), chunks=(2,))
        file.create_dataset("offsets", data=np.array([0, 4], "<u8"))
    with pytest.raises(TesseraError, match="write it as a contiguous dataset"):
        chunks.open_chunk(tmp_path / "packed.h5")


def test_positions_pass_two_to_the_32(tmp_path: Path) -> None:
    """A sparse file of 2^32 + 10 tokens: every byte is a hole but the last tokens."""
    length = (1 << 32) + 10
    path = tmp_path / "chunk-00.h5"
    start = hdf5.reserve(path, {"tokens": (length, np.dtype("<u2"))}, {"vocab_size": 100})["tokens"]
    with h5py.File(path, "r+") as file:
        file["offsets"] = np.array([0, length], "<u8")
    with open(path, "r+b") as file:
        file.seek(start + 2 * (length - 2))
        file.write(np.array([99, 100], "<u2").tobytes())
    chunk = chunks.open_chunk(path)
    assert chunk.n_tokens == length
    chunks.check(chunk, length - 2, length - 1)
    with pytest.raises(TesseraError, match=f"token {length - 1} has the id 100"):
        chunks.check(chunk, length - 2, length)


def test_digest_tells_texts_and_documents_apart(tmp_path: Path) -> None:
    layouts = {"a": [[1, 2, 3]], "b": [[1, 2], [3]], "c": [[1, 2, 4]]}
    opened = {name: chunks.open_chunk(write_chunk(tmp_path / name, documents)) for name, documents in layouts.items()}
    plain = chunks.open_chunk(write_chunk(tmp_path / "plain", layouts["a"], checksums=False))
    assert len({chunks.digest(chunk) for chunk in opened.values()}) == 3
    assert chunks.digest(plain) == chunks.digest(opened["a"])
