"""Chooses targets: sequences of known exact repetition, sampled uniformly within buckets of their count.

Groups of equal windows are taken in the order of a random priority. What a bucket takes is the first of them whose
count lies in it and none of whose occurrences overlaps one of a target taken before. So every group of a bucket is as
likely as any other, however the groups are stored, and the choice does not depend on how many are looked at at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from lib.base.errors import TesseraError
from lib.base.seeds import generator

DRAWN_AT_ONCE = 1 << 20  # priorities of one stream; part of what a seed means
DOCUMENTS = 1 << 20  # whose windows are numbered at once: 8 MB of offsets
ATTEMPTS = 1000  # refused windows per random target before giving up


@dataclass(frozen=True)
class Buckets:
    """A count belongs to the bucket b when |count - b| <= tolerance * b; of two, to the nearer (then the lower)."""

    sizes: tuple[int, ...]
    tolerance: float

    def of(self, counts: np.ndarray) -> np.ndarray:
        """The bucket of each count, 0 for none: int64, the shape of `counts`."""
        counts = np.asarray(counts, np.int64)
        best, distance = np.zeros(counts.shape, np.int64), np.full(counts.shape, np.inf)
        for size in sorted(self.sizes):
            here = np.abs(counts - size)
            mine = (here <= self.tolerance * size) & (here < distance)
            best[mine], distance[mine] = size, here[mine]
        return best

    def limit(self, sizes: Iterable[int]) -> int:
        """The highest count that one of these buckets takes; 0 without any."""
        return max((int(size + self.tolerance * size) for size in sizes), default=0)


class Regions:
    """Where the targets taken so far occur: a sorted array of positions for each chunk."""

    def __init__(self, length: int) -> None:
        """Regions of windows of `length` tokens."""
        self.length = length
        self.taken: dict[int, np.ndarray] = {}

    def overlaps(self, chunk: int, positions: np.ndarray) -> bool:
        """Whether a window at one of `positions` (int64) shares a token with one that is taken."""
        taken = self.taken.get(chunk, np.zeros(0, np.int64))
        low = np.searchsorted(taken, positions - self.length, "right")
        return bool((np.searchsorted(taken, positions + self.length, "left") > low).any())

    def take(self, chunk: int, positions: np.ndarray) -> None:
        """Add the windows at `positions`."""
        self.taken[chunk] = np.sort(np.append(self.taken.get(chunk, np.zeros(0, np.int64)), positions))


def priorities(seed: int, start: int, stop: int) -> np.ndarray:
    """The random priorities of the groups start .. stop - 1: uint64, the same whichever range is asked for."""
    first = start // DRAWN_AT_ONCE * DRAWN_AT_ONCE
    drawn = [
        generator(seed, "priority of a group", block // DRAWN_AT_ONCE).integers(
            0, 1 << 64, min(DRAWN_AT_ONCE, stop - block), dtype=np.uint64
        )
        for block in range(first, stop, DRAWN_AT_ONCE)
    ]
    return np.concatenate([*drawn, np.zeros(0, np.uint64)])[start - first :]


def next_round(counts: np.ndarray, seed: int, low: int, high: int, limit: int) -> np.ndarray:
    """The groups with low <= priority < high (of 2^64), by priority: int64.

    counts: (groups,), occurrences in their own chunk; those with more than `limit` are left out, since they have at
    least as many in all chunks.
    """
    found: list[np.ndarray] = [np.zeros(0, np.int64)]
    keys: list[np.ndarray] = [np.zeros(0, np.uint64)]
    for start in range(0, len(counts), DRAWN_AT_ONCE):
        stop = min(start + DRAWN_AT_ONCE, len(counts))
        drawn = priorities(seed, start, stop)
        mine = (drawn >= np.uint64(low)) & (drawn <= np.uint64(high - 1)) & (counts[start:stop] <= limit)
        found.append(np.flatnonzero(mine) + start)
        keys.append(drawn[mine])
    groups = np.concatenate(found)
    return groups[np.lexsort((groups, np.concatenate(keys)))]


def choose(
    buckets: np.ndarray, occurrences: Sequence[np.ndarray], chunk: int, room: Mapping[int, int], regions: Regions
) -> list[int]:
    """The rows that are taken, in order: those whose bucket has room left and that overlap no row taken before.

    buckets: (rows,), 0 for none; occurrences: of every row in `chunk`. What is taken is added to `regions`.
    """
    left, taken = dict(room), []
    for row in np.flatnonzero(buckets):
        bucket = int(buckets[row])
        if left.get(bucket, 0) and not regions.overlaps(chunk, occurrences[row]):
            regions.take(chunk, occurrences[row])
            left[bucket] -= 1
            taken.append(int(row))
    return taken


@njit(cache=True, nogil=True)
def unique_tokens(windows: np.ndarray) -> np.ndarray:
    """How many different tokens each row of (n, length) has: int64 (n,)."""
    unique = np.empty(len(windows), np.int64)
    for row in range(len(windows)):
        ordered = np.sort(windows[row])
        different = 1 if len(ordered) else 0
        for i in range(1, len(ordered)):
            different += ordered[i] != ordered[i - 1]
        unique[row] = different
    return unique


class _Windows:
    """All windows of `length` tokens inside documents of one chunk, numbered in their order.

    offsets: documents + 1, a memory map will do. Documents are looked at DOCUMENTS at a time, so that memory does not
    grow with their number.
    """

    def __init__(self, offsets: np.ndarray, length: int) -> None:
        self.offsets, self.length = offsets, length
        parts = range(0, len(offsets) - 1, DOCUMENTS)
        self.until = np.cumsum([int(self._of_documents(first).sum()) for first in parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.until[-1]) if len(self.until) else 0

    def position(self, number: int) -> int:
        """Where the window `number` begins."""
        part = int(np.searchsorted(self.until, number, "right"))
        number -= int(self.until[part - 1]) if part else 0
        before = np.cumsum(self._of_documents(part * DOCUMENTS))
        document = int(np.searchsorted(before, number, "right"))
        inside = number - (int(before[document - 1]) if document else 0)
        return int(self.offsets[part * DOCUMENTS + document]) + inside

    def _of_documents(self, first: int) -> np.ndarray:
        bounds = self.offsets[first : first + DOCUMENTS + 1].astype(np.int64)
        return np.maximum(np.diff(bounds) - self.length + 1, 0)


def random_windows(offsets: Sequence[np.ndarray], length: int, seed: int) -> Iterator[tuple[int, int]]:
    """Endless (chunk, position) of windows drawn uniformly over all windows of all chunks.

    offsets: of every chunk, documents + 1; windows lie inside documents. Raises TesseraError when no document is long
    enough.
    """
    windows = [_Windows(bounds, length) for bounds in offsets]
    until = np.cumsum([len(one) for one in windows], dtype=np.int64)
    if not len(until) or until[-1] == 0:
        raise TesseraError(f"no document has {length} tokens, so no window can be drawn; lower length")
    stream = generator(seed, "random targets")
    while True:
        drawn = int(stream.integers(0, until[-1]))
        chunk = int(np.searchsorted(until, drawn, "right"))
        yield chunk, windows[chunk].position(drawn - (int(until[chunk - 1]) if chunk else 0))


def choose_random(
    tokens: Sequence[np.ndarray], offsets: Sequence[np.ndarray], length: int, n: int, min_unique: int, seed: int
) -> tuple[list[tuple[int, int]], dict[str, int]]:
    """(chunk, position) of up to n random windows with enough different tokens that do not overlap one another; and why
    how many were refused.

    The draws do not depend on the targets in buckets. They end, perhaps with fewer than n, after ATTEMPTS refusals per
    target. Raises TesseraError when no document is long enough.
    """
    found: list[tuple[int, int]] = []
    refused = {"too few different tokens": 0, "overlapping another": 0}
    regions, draws = Regions(length), random_windows(offsets, length, seed)
    while len(found) < n and sum(refused.values()) < ATTEMPTS * n:
        chunk, position = next(draws)
        if unique_tokens(np.array(tokens[chunk][None, position : position + length]))[0] < min_unique:
            refused["too few different tokens"] += 1
        elif regions.overlaps(chunk, np.array([position])):
            refused["overlapping another"] += 1
        else:
            regions.take(chunk, np.array([position]))
            found.append((chunk, position))
    return found, refused
