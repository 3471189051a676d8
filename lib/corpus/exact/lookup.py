"""How often windows of a corpus occur in it, read off the groups of the whole corpus: a cell for each of them."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from lib.base import hdf5
from lib.corpus.chunks import Chunk
from lib.corpus.exact import window_hashes
from lib.corpus.exact.groups_file import Part
from lib.corpus.exact.layout import Layout
from lib.corpus.exact.window_hashes import Hashed, Selection, prefix


def counts(
    path: Path, parts: Sequence[Part], corpus: Sequence[Chunk], chunk: Sequence[int], position: Sequence[int]
) -> np.ndarray:
    """Occurrences of the windows at `position` of each chunk, given by its index: int64 (n,), at least 1.

    path: the index of the groups; parts: its shards. The windows lie inside documents.
    """
    attributes = hdf5.attributes(path)
    cut = Layout(int(attributes["cell_bits"]), int(attributes["shard_bits"]))
    found = [_count(parts, cut, corpus[row], row, at) for row, at in zip(chunk, position, strict=True)]
    return np.array(found, np.int64)


def _count(parts: Sequence[Part], cut: Layout, chunk: Chunk, row: int, position: int) -> int:
    key = _key(chunk, position, parts[0].length)
    part = parts[int(prefix(key, cut.shard_bits))]
    cell = int(prefix(key, cut.cell_bits)) % cut.cells
    with hdf5.opened(part.path) as file:
        return _count_in(file, cell, row, position)


def _count_in(file: h5py.File, cell: int, row: int, position: int) -> int:
    """The members of the group of this cell that has a window there; 1 if none has."""
    first, end = file["cell_offsets"][cell : cell + 2].tolist()
    bounds = file["group_offsets"][first : end + 1].astype(np.int64)
    members = slice(int(bounds[0]), int(bounds[-1]))
    here = np.flatnonzero((file["position"][members] == position) & (file["chunk"][members] == row))
    if not len(here):
        return 1
    group = int(np.searchsorted(bounds - bounds[0], here[0], "right")) - 1
    return int(bounds[group + 1] - bounds[group])


def _key(chunk: Chunk, position: int, length: int) -> np.uint64:
    """The key of one window, which begins a document of its own here."""
    tokens, everything = np.array(chunk.tokens[position : position + length]), np.ones(1, np.int64)
    room = Hashed(np.empty(1, np.uint64), *(np.empty(0, np.uint64) for _ in range(2)))
    selection = Selection(0, 0, everything - 1, everything)
    return window_hashes.hashes(tokens, np.array([0, length]), 0, 1, length, selection, 0, room).keys[0]
