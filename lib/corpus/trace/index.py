"""A chunk that can be searched: its text, its suffix array, and a table that narrows each search before it reads text.

The table holds the first 64 bits (four tokens of 16 bits, two of 32) of every STEP-th suffix of the array. A binary
search in it leaves a few entries of the array, which lie on one page of the disk; only these are compared by their
text. Infini-gram (Liu et al. 2024, arXiv 2401.17377) searches arrays of trillions of tokens in the same way, without a
table.
"""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.suffixes.opened import SuffixArray
from lib.corpus.suffixes.sorting import Text, as_text, suffix_keys

STEP = 256  # entries of an array for one of the table: 1 kB of the array, and 1/64 of its size (1/128 beyond 2^32)
AT_ONCE = 1 << 16  # entries of the table that are made at once


class Index(NamedTuple):
    """What the kernels search.

    text: of the chunk; positions: its suffix array, uint32 or uint64; depth: tokens that it is sorted by; keys: uint64,
    the table; offsets: int64 (documents + 1,), where documents begin and the last one ends.
    """

    text: Text
    positions: np.ndarray
    depth: int
    keys: NDArray[np.uint64]
    offsets: np.ndarray


def make(chunk: Chunk, array: SuffixArray, keys: NDArray[np.uint64] | None = None) -> Index:
    """The index of a chunk; the table is made if it is not given, by one read of text for each STEP entries."""
    keys = table(chunk, array) if keys is None else keys
    return Index(
        as_text(chunk.tokens), _one_type(array.positions), array.depth, _one_type(keys), _one_type(chunk.offsets)
    )


def table(chunk: Chunk, array: SuffixArray, start: int = 0, stop: int | None = None) -> NDArray[np.uint64]:
    """Entries start .. stop - 1 of the table, uint64; all of them by default.

    Raises TesseraError for an array that holds what is no position of the chunk.
    """
    text = as_text(chunk.tokens)
    sampled = array.positions[::STEP][start:stop]
    keys = np.empty(len(sampled), np.uint64)
    for low in range(0, len(sampled), AT_ONCE):
        part = sampled[low : low + AT_ONCE].astype(np.int64)
        if len(part) and not 0 <= part.min() <= part.max() < chunk.n_tokens:
            raise TesseraError(f"{array.path}: holds what is no position of {chunk.path}; make the array again")
        keys[low : low + AT_ONCE] = suffix_keys(text, part, array.depth)
    return keys


def reserve(file: h5py.File, entries: int) -> h5py.Dataset:
    """The dataset `keys` of a table that is filled afterwards, for memory maps."""
    keys = file.create_dataset("keys", (entries,), "<u8", track_times=False)
    keys.attrs["rows"] = entries
    return keys


def describe(file: h5py.File, chunk: Chunk, array: SuffixArray, checksums: NDArray[np.uint64]) -> None:
    """Write the checksums of the keys (of 2^20 each), and what the table belongs to."""
    hdf5.write(file, "checksums", checksums)
    file.attrs.update(tokens_digest=chunks.digest(chunk), depth=array.depth, step=STEP)


def read(path: Path, chunk: Chunk, array: SuffixArray) -> NDArray[np.uint64]:
    """The stored table, as a memory map. Raises TesseraError if it belongs to another chunk or array, or is damaged."""
    wanted = {"tokens_digest": chunks.digest(chunk), "depth": array.depth, "step": STEP}
    found = hdf5.attributes(path)
    if {name: found.get(name) for name in wanted} != wanted:
        raise TesseraError(f"{path}: a table of another text than {chunk.path}, or of an array of another depth")
    with hdf5.opened(path) as file:
        keys, sums = chunks.memmap(path, file["keys"]), file["checksums"][()]
    if not np.array_equal(chunks.checksums(keys), sums):
        raise TesseraError(f"{path}: not what was written (checksum); delete it, and it is made again")
    return keys


def _one_type(array: np.ndarray) -> np.ndarray:
    """The same data, read-only and without a promise of alignment: maps and arrays are then one type for kernels."""
    view = np.asarray(array).view()
    view.setflags(write=False, align=False)
    return view
