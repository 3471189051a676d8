"""One pass over a corpus, or rather several readings of it: finds the groups of some shards, a few for each rank.

First all windows of these shards are counted in a filter. Then the text is read again, once for each range of cells
whose windows fit in memory: those that may repeat go to the rank of their shard, which groups them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lib.base import progress
from lib.base.errors import TesseraError
from lib.corpus.exact import repeats, routes
from lib.corpus.exact.group_shards import ShardFiles
from lib.corpus.exact.repeats import ENTRY_BYTES, GROUPING_BYTES, Candidates
from lib.corpus.exact.window_hashes import Hashed
from lib.corpus.exact.window_scan import WindowScan


class Memory(NamedTuple):
    """Of a rank, for all passes. filter: bytes of the filter of a pass; candidates: bytes for the windows that may
    repeat and are held at once, in the array `entries` (uint64, (n, 3)) and beside it."""

    filter: float
    candidates: float
    entries: np.ndarray


class ShardPass:
    """The pass for `shards` (int64, rising). Every rank makes one for the same shards, and owns every size-th."""

    def __init__(self, scan: WindowScan, shards: np.ndarray, memory: Memory) -> None:
        self.scan, self.shards, self.memory = scan, shards, memory
        self.cells, self.mine = scan.layout.cells, shards[scan.comm.rank :: scan.comm.size]
        self.owners = np.full(scan.layout.shards, -1, np.int64)
        self.owners[shards] = np.arange(len(shards)) % scan.comm.size
        slots = repeats.SLOTS * -(-scan.n_tokens // scan.layout.shards)
        most = int(4 * memory.filter / max(1, len(self.mine)))
        self.filter = repeats.make_filter(self.mine, scan.layout, min(slots, most))

    def run(self, files: ShardFiles, advance: progress.Advance) -> None:
        """Write all groups of this rank's shards. `advance` is called with parts of 1."""
        advance = progress.divided(advance, 2 * self.scan.turns)
        self._count(advance)
        ranges = list(self._ranges())
        turns = max(self.scan.comm.allgather(len(ranges)))
        for turn in range(turns):
            start, stop = ranges[turn] if turn < len(ranges) else (0, 0)
            found = self._candidates(start, stop, progress.divided(advance, turns))
            for cell in range(start, stop):
                files.add(cell, *repeats.groups(found.cell(cell), self.scan.layout.cell_bits))

    def _count(self, advance: progress.Advance) -> None:
        low, high = self._bounds(0, len(self.mine) * self.cells)
        for windows in self.scan.read(low, high, whole=False):
            self.filter.add(routes.find(windows.keys, self.owners, self.scan.comm).there(windows.keys))
            advance(1)

    def _candidates(self, start: int, stop: int, advance: progress.Advance) -> Candidates:
        """The windows of this rank's cells start .. stop - 1 that may repeat."""
        found = repeats.make_candidates(start, self.filter.repeated[start:stop], self.memory.entries)
        for windows in self.scan.read(*self._bounds(start, stop), whole=True):
            all_of_them = routes.find(windows.keys, self.owners, self.scan.comm)
            repeated = all_of_them.only(self.filter.repeats(all_of_them.there(windows.keys)))
            found.add(Hashed(*map(repeated.there, windows)), self.filter)
            advance(1)
        return found

    def _bounds(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """The cells start .. stop - 1 of all ranks, each counting those of its shards, by shard: the first, the end."""
        bounds = np.zeros((2, self.scan.layout.shards), np.int64)
        before = np.arange(len(self.mine)) * self.cells
        bounds[:, self.mine] = self.mine * self.cells + [np.clip(end - before, 0, self.cells) for end in (start, stop)]
        low, high = sum(self.scan.comm.allgather(bounds))  # a shard has one owner
        return low, high

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """This rank's cells in ranges whose windows fit in memory.

        Raises TesseraError for a cell that does not: nearly all of its windows are equal, or there would be more cells.
        """
        start, windows, largest = 0, 0, 0
        for cell, size in enumerate(self.filter.repeated.tolist()):
            self._check(size)
            if self._bytes(windows + size, max(largest, size)) > self.memory.candidates:
                yield start, cell
                start, windows, largest = cell, 0, 0
            windows, largest = windows + size, max(largest, size)
        yield start, len(self.filter.repeated)

    def _bytes(self, windows: int, largest: int) -> float:
        return ENTRY_BYTES * windows + GROUPING_BYTES * largest

    def _check(self, size: int) -> None:
        missing = self._bytes(size, size) - self.memory.candidates
        if missing > 0:
            raise TesseraError(
                f"{size} windows begin with the same bits of their hash, most of them equal, and do not fit in memory; "
                f"set memory_gb to at least {missing * 2 / 1e9:.1f} more"
            )
