"""Which windows may repeat, by a counting filter of two bits; and the groups of those that do, cell by cell."""

from typing import NamedTuple

import numpy as np
from numba import njit

from lib.corpus.exact.layout import Layout
from lib.corpus.exact.window_hashes import Hashed, prefix
from lib.kernels.prefetch import prefetch

SLOTS = 4  # of the filter for each window: then 22 % of those that occur once share one
ENTRY_BYTES = 24  # key, second hash and place of a window
BATCH = 64  # of windows, whose places in memory are fetched at once
GROUPING_BYTES = 48  # at most, for each window of the cell that is grouped
_U64 = np.uint64
_1, _3, _32 = _U64(1), _U64(3), _U64(32)


class Filter(NamedTuple):
    """Counts windows by their keys, up to 2: four counters a byte.

    numbers: int64 (shards of the corpus,), the number among the shards of this filter; slots: counters of a shard, as
    many in each of its cells; repeated: int64 (shards of the filter x cells,), windows of each cell that may repeat.
    """

    counters: np.ndarray
    numbers: np.ndarray
    slots: int
    repeated: np.ndarray
    layout: Layout

    def add(self, keys: np.ndarray) -> None:
        """Count windows (uint64 keys, all of shards of this filter)."""
        _add(keys, self.counters, self.numbers, self.slots, self.repeated, *self.layout)

    def repeats(self, keys: np.ndarray) -> np.ndarray:
        """Whether each window was counted twice, or another one instead of it: bool."""
        found = np.empty(len(keys), np.bool_)
        _repeats(keys, self.counters, self.numbers, self.slots, self.layout.shard_bits, found)
        return found


def make_filter(shards: np.ndarray, layout: Layout, slots: int) -> Filter:
    """An empty filter for these shards (int64), with about `slots` counters for each."""
    numbers = np.full(layout.shards, -1, np.int64)
    numbers[shards] = np.arange(len(shards))
    slots = max(1, min(slots, 1 << 32) // layout.cells) * layout.cells
    counters = np.zeros(len(shards) * slots // 4 + 1, np.uint8)
    return Filter(counters, numbers, slots, np.zeros(len(shards) * layout.cells, np.int64), layout)


class Candidates(NamedTuple):
    """Windows that may repeat, cell after cell, in the order in which they came.

    entries: uint64 (n, 3), key, second hash, place; first: the first cell, numbered as in the filter; bounds: int64
    (cells + 1,); filled: int64 (cells,), where the next window of each cell goes.
    """

    entries: np.ndarray
    first: int
    bounds: np.ndarray
    filled: np.ndarray

    def add(self, windows: Hashed, counted: Filter) -> None:
        """Put windows behind those of their cells."""
        _put(*windows, self.entries, self.filled, self.first, counted.numbers, *counted.layout)

    def cell(self, cell: int) -> np.ndarray:
        """The windows of one cell."""
        return self.entries[self.bounds[cell - self.first] : self.bounds[cell - self.first + 1]]


def make_candidates(first: int, sizes: np.ndarray, room: np.ndarray) -> Candidates:
    """`room` (uint64, (n, 3)) for the windows of the cells from `first` on; sizes: int64, of each."""
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Candidates(room[: bounds[-1]], first, bounds, bounds[:-1].copy())


def groups(entries: np.ndarray, cell_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the windows of one cell that have an equal, group after group, and the sizes of groups (int64).

    entries: (n, 3), as in Candidates, in the order of the text. Groups come in the order of their first windows.
    """
    return _groups(entries, cell_bits)


@njit(cache=True, nogil=True, inline="always")
def _slot(key, numbers, slots, shard_bits):
    within = ((key << _U64(shard_bits)) >> _32) * _U64(slots) >> _32
    return numbers[prefix(key, shard_bits)] * slots + np.int64(within)


@njit(cache=True, nogil=True, inline="always")
def _cell(key, numbers, cell_bits, shard_bits):
    """The number of a key's cell among those of the filter's shards."""
    cells = np.int64(1) << (cell_bits - shard_bits)
    return numbers[prefix(key, shard_bits)] * cells + (prefix(key, cell_bits) & (cells - 1))


@njit(cache=True, nogil=True)
def _find(keys, first, counters, numbers, slots, shard_bits, found):
    """Fill `found` with the slots of the keys from `first` on, and fetch their counters; returns how many they are."""
    size = min(BATCH, len(keys) - first)
    for i in range(size):
        found[i] = _slot(keys[first + i], numbers, slots, shard_bits)
        prefetch(counters, found[i] >> 2)
    return size


@njit(cache=True, nogil=True)
def _add(keys, counters, numbers, slots, repeated, cell_bits, shard_bits):
    found = np.empty(BATCH, np.int64)
    for first in range(0, len(keys), BATCH):
        for i in range(_find(keys, first, counters, numbers, slots, shard_bits, found)):
            at, shift = found[i] >> 2, (found[i] & 3) * 2
            seen = (counters[at] >> shift) & 3
            if seen < 2:
                counters[at] += np.uint8(1 << shift)
            if seen:
                cell = _cell(keys[first + i], numbers, cell_bits, shard_bits)
                repeated[cell] += 1 + (seen == 1)  # the one before as well


@njit(cache=True, nogil=True)
def _repeats(keys, counters, numbers, slots, shard_bits, repeated):
    found = np.empty(BATCH, np.int64)
    for first in range(0, len(keys), BATCH):
        for i in range(_find(keys, first, counters, numbers, slots, shard_bits, found)):
            repeated[first + i] = (counters[found[i] >> 2] >> ((found[i] & 3) * 2)) & 3 == 2


@njit(cache=True, nogil=True)
def _put(keys, others, places, entries, filled, start, numbers, cell_bits, shard_bits):
    found = np.empty(BATCH, np.int64)
    for first in range(0, len(keys), BATCH):
        size = min(BATCH, len(keys) - first)
        for i in range(size):
            cell = _cell(keys[first + i], numbers, cell_bits, shard_bits) - start
            found[i], filled[cell] = filled[cell], filled[cell] + 1
            prefetch(entries, found[i])
        for i in range(size):
            entries[found[i], 0], entries[found[i], 1] = keys[first + i], others[first + i]
            entries[found[i], 2] = places[first + i]


@njit(cache=True, nogil=True)
def _groups(entries, cell_bits):
    group_of, sizes = _numbered(entries, cell_bits)
    ends = np.cumsum(np.where(sizes > 1, sizes, 0))
    places, filled = np.empty(ends[-1] if len(ends) else 0, _U64), ends - np.where(sizes > 1, sizes, 0)
    for i in range(len(entries)):
        group = group_of[i]
        if sizes[group] > 1:
            places[filled[group]] = entries[i, 2]
            filled[group] += 1
    return places, sizes[sizes > 1]


@njit(cache=True, nogil=True)
def _numbered(entries, cell_bits):
    """The group of each entry, numbered in the order of their first windows, and how many windows each has."""
    bits = 1
    while 1 << bits < 2 * len(entries):
        bits += 1
    n, mask, found = len(entries), (1 << bits) - 1, 0
    table = np.full(1 << bits, -1, np.int32)  # hash -> group
    group_of, first, sizes = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    for i in range(len(entries)):
        at = prefix(entries[i, 0] << _U64(cell_bits), bits)
        while table[at] >= 0 and not _equal(entries, first[table[at]], i):
            at = (at + 1) & mask
        if table[at] < 0:
            table[at], first[found], sizes[found] = found, i, 0
            found += 1
        group_of[i] = table[at]
        sizes[table[at]] += 1
    return group_of, sizes[:found].astype(np.int64)


@njit(cache=True, nogil=True, inline="always")
def _equal(entries, one, other):
    return entries[one, 0] == entries[other, 0] and entries[one, 1] == entries[other, 1]
