"""Writes the groups of a whole corpus: shards, one rank each, and their index. groups_file.py says what they hold."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
from numba import njit

from lib.base import blocks, hdf5, places
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.exact.layout import Layout

FEW = 1 << 12  # members; groups with fewer are counted together
MEMBERS_AT_ONCE = 1 << 18  # that are written together, always the same ones: the bytes of a file depend on it


_NONE = np.zeros(0, np.int64)


class Shard:
    """A shard that is written, in `file`, cell after cell. starts: uint64, the place at which each chunk begins."""

    def __init__(self, file: h5py.File, starts: np.ndarray) -> None:
        self.file, self.starts = file, starts
        self.members, self.groups, self.pending = 0, 0, 0
        self.sizes: Counter[int] = Counter()
        self.places: list[np.ndarray] = []
        self.counts: list[np.ndarray] = []
        self.cells = [0]
        hdf5.append(file, "group_offsets", np.zeros(1, "<u8"))

    def add(self, found: np.ndarray, counts: np.ndarray) -> None:
        """The groups of the next cell: places of their members, group after group, and how many each has."""
        self.places.append(found)
        self.counts.append(counts)
        self.pending += len(found)
        self.cells.append(self.cells[-1] + len(counts))
        if self.pending >= MEMBERS_AT_ONCE:
            self._write()

    def end(self) -> None:
        """Write what is left, and what the index needs."""
        self._write()
        hdf5.write(self.file, "cell_offsets", np.array(self.cells, "<u8"))
        self.file.attrs.update(n_groups=self.groups, n_members=self.members)
        write_histogram(self.file, self.sizes)

    def _write(self) -> None:
        found, counts = np.concatenate([np.zeros(0, np.uint64), *self.places]), np.concatenate([*self.counts, _NONE])
        chunk = np.empty(len(found), np.uint16)
        _split(found, self.starts, chunk)
        hdf5.append(self.file, "chunk", chunk)
        hdf5.append(self.file, "position", found)
        hdf5.append(self.file, "counts", counts.astype("<u8"))
        hdf5.append(self.file, "group_offsets", (np.cumsum(counts) + self.members).astype("<u8"))
        self._count(counts)
        self.members, self.groups = self.members + len(found), self.groups + len(counts)
        self.places, self.counts, self.pending = [], [], 0

    def _count(self, counts: np.ndarray) -> None:
        often = counts >= FEW
        few = np.bincount(counts[~often])
        self.sizes.update({size: number for size, number in enumerate(few.tolist()) if number})
        self.sizes.update(counts[often].tolist())


@njit(cache=True, nogil=True)
def _split(places, starts, chunk):
    """Turn places into positions in their chunks."""
    for i in range(len(places)):
        low, high = 0, len(starts) - 1
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if starts[middle] <= places[i] else (low, middle)
        chunk[i] = low
        places[i] -= starts[low]


class ShardFiles(ExitStack):
    """The files of `shards` (int64), as blocks in `folder`, written one after another in the order of their cells.

    cells: of each shard. A shard that is not complete when this context ends is no file.
    """

    def __init__(self, folder: Path, shards: np.ndarray, cells: int, starts: np.ndarray) -> None:
        super().__init__()
        self.folder, self.shards, self.cells, self.starts = folder, shards, cells, starts

    def add(self, cell: int, found: np.ndarray, counts: np.ndarray) -> None:
        """The groups of the next cell, which is the number `cell` of all of these shards."""
        number, within = divmod(cell, self.cells)
        if within == 0:
            path = self.folder / places.group_shard(int(self.shards[number]))
            self.shard = Shard(self.enter_context(blocks.create(path)), self.starts)
        self.shard.add(found, counts)
        if within == self.cells - 1:
            self.shard.end()
            self.close()


def write_index(path: Path, corpus: Sequence[Chunk], length: int, layout: Layout) -> str:
    """Write `path`, the index of the shards beside it. Returns what was found, in words."""
    groups, members, sizes = [], [], Counter[int]()
    for number in range(layout.shards):
        with hdf5.opened(path.with_name(places.group_shard(number))) as file:
            groups.append(int(file.attrs["n_groups"]))
            members.append(int(file.attrs["n_members"]))
            sizes.update(dict(zip(file["histogram/count"][()].tolist(), file["histogram/groups"][()].tolist())))
    n_tokens = sum(chunk.n_tokens for chunk in corpus)
    with hdf5.create(path) as file:
        file.attrs.update(length=length, n_tokens=n_tokens, n_groups=sum(groups), n_members=sum(members))
        file.attrs.update(layout._asdict())
        hdf5.write(file, "shards/groups", np.array(groups, "<u8"))
        hdf5.write(file, "shards/members", np.array(members, "<u8"))
        hdf5.write(file, "chunks/digest", np.array([chunks.digest(chunk) for chunk in corpus], "S32"))
        write_histogram(file, sizes)
    return f"{sum(groups)} groups of {sum(members)} equal windows of {length} tokens in {n_tokens} tokens"


def write_histogram(file: h5py.File, sizes: Counter[int]) -> None:
    """How many groups have how many members, by rising number of members."""
    counted = np.array(sorted(sizes.items()), dtype="<u8").reshape(-1, 2)
    hdf5.write(file, "histogram/count", counted[:, 0])
    hdf5.write(file, "histogram/groups", counted[:, 1])
