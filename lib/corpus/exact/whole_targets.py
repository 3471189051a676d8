"""Draws targets from the groups of a whole corpus, whose numbers of members are their counts: nothing is counted again.

As in lib/corpus/targets.py, groups are taken in the order of a random priority: what a bucket takes is the first of
them whose count lies in it and none of whose members, in any chunk, overlaps one of a target taken before.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lib.base import blocks, hdf5
from lib.corpus import chunks, targets
from lib.corpus.chunks import Chunk
from lib.corpus.exact import groups_file
from lib.corpus.exact.groups_file import Block, Part
from lib.corpus.targets import Buckets, Regions

READ_AT_ONCE = 256  # groups, of at most as many members as a bucket allows


class Candidates(NamedTuple):
    """Groups in the order of their priorities. part: its index; row: in the part; members: how many; bucket: of that
    count. All (n,): priority is uint64, the others are int64."""

    priority: np.ndarray
    part: np.ndarray
    row: np.ndarray
    members: np.ndarray
    bucket: np.ndarray


class Target(NamedTuple):
    """A group that was taken, and one window of it: its tokens (length,), and where its first member stands."""

    tokens: np.ndarray
    bucket: int
    members: int
    chunk: int
    position: int


def drawn(
    parts: Sequence[Part], some: Sequence[int], buckets: Buckets, wanted: Sequence[int], seed: int, low: int, high: int
) -> Candidates:
    """The groups of some of the parts (indices) with low <= priority < high (of 2^64), of wanted buckets."""
    found = [_NONE]
    for index in some:
        with hdf5.opened(parts[index].path) as file:
            for start, stop in blocks.ranges(0, parts[index].n_groups, targets.DRAWN_AT_ONCE):
                count = file["counts"][start:stop].astype(np.int64)
                first = parts[index].first
                priority = targets.priorities(seed, first + start, first + stop)
                bucket = buckets.of(count)
                mine = (priority >= np.uint64(low)) & (priority <= np.uint64(high - 1)) & np.isin(bucket, wanted)
                rows = np.flatnonzero(mine)
                own = np.full(len(rows), index)
                found.append(Candidates(priority[rows], own, rows + start, count[rows], bucket[rows]))
    return joined(found)


def joined(some: Sequence[Candidates]) -> Candidates:
    """All of these by priority, and groups of equal priority in their order."""
    every = Candidates(*(np.concatenate(column) for column in zip(*some)))
    order = np.lexsort((every.row, every.part, every.priority))
    return Candidates(*(column[order] for column in every))


def choose(
    parts: Sequence[Part], corpus: Sequence[Chunk], candidates: Candidates, min_unique: int, room: Mapping[int, int],
    regions: Regions,
) -> Iterator[Target | int]:  # fmt: skip
    """The targets that are taken, in order; and of each group looked at that has enough different tokens, its count.

    room: how many targets each bucket still takes. What is taken is added to `regions`.
    """
    left = dict(room)
    for start, stop in blocks.ranges(0, len(candidates.row), READ_AT_ONCE):
        open_ones = np.isin(candidates.bucket[start:stop], [bucket for bucket in left if left[bucket]])
        some = Candidates(*(column[start:stop][open_ones] for column in candidates))
        if not open_ones.any():
            continue
        groups = _read(parts, some)
        first = [(int(group.chunk[0]), int(group.position[0])) for group in groups]
        windows = _windows(corpus, first, regions.length)
        rich = targets.unique_tokens(windows) >= min_unique
        for i in np.flatnonzero(rich).tolist():
            bucket, count = int(some.bucket[i]), int(some.members[i])
            yield count
            if left.get(bucket, 0) and not _overlaps(groups[i], regions):
                _take(groups[i], regions)
                left[bucket] -= 1
                yield Target(windows[i], bucket, count, *first[i])


def _read(parts: Sequence[Part], some: Candidates) -> list[Block]:
    """The groups of the candidates, each part opened once."""
    found: dict[int, Block] = {}
    for index in np.unique(some.part).tolist():
        rows = np.flatnonzero(some.part == index)
        found.update(zip(rows.tolist(), groups_file.groups_of(parts[index], some.row[rows].tolist())))
    return [found[row] for row in range(len(some.row))]


def _windows(corpus: Sequence[Chunk], places: Sequence[tuple[int, int]], length: int) -> np.ndarray:
    chunk, position = (np.array(column, np.int64) for column in zip(*places))
    chunks.check_windows(corpus, chunk, position, length)
    return chunks.windows(corpus, chunk, position, length)


def _overlaps(group: Block, regions: Regions) -> bool:
    return any(
        regions.overlaps(chunk, group.position[group.chunk == chunk]) for chunk in np.unique(group.chunk).tolist()
    )


def _take(group: Block, regions: Regions) -> None:
    for chunk in np.unique(group.chunk).tolist():
        regions.take(chunk, group.position[group.chunk == chunk])


_NONE = Candidates(np.zeros(0, np.uint64), *(np.zeros(0, np.int64) for _ in range(4)))
