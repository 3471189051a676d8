"""Which tokens of a corpus go: ranges from groups of equal windows and from single windows, joined to cuts.

A window has `length` tokens and lies inside one document, and so does every range made of it. Chunks are numbered in
the order of the corpus; those from `cleaned` on are another corpus, which is read and not changed.
"""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Keep = Literal["one", "none", "all"]

EXACT, AGAINST, NEAR, DOCUMENT = 1, 2, 4, 8  # causes, bits of one number
CAUSES = {EXACT: "exact duplicate", AGAINST: "in the other corpus", NEAR: "near a given text", DOCUMENT: "document"}


class Ranges(NamedTuple):
    """Tokens that go, unordered and overlapping. All arrays (n,).

    chunk: int64; start: int64, position in the chunk; size: int64, tokens; copies: int64, equal windows in the whole
    corpus (0: not known); cause: uint8.
    """

    chunk: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    copies: NDArray[np.int64]
    cause: NDArray[np.uint8]


class Cuts(NamedTuple):
    """What goes of some documents, none overlapping or touching another, by document and place. All arrays (n,).

    document: int64, counted from the first of these documents; start, stop: int64, tokens in the document; copies:
    int64, the most of any window in it; cause: uint8, the causes of all its ranges.
    """

    document: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    copies: NDArray[np.int64]
    cause: NDArray[np.uint8]


def of_groups(
    chunk: NDArray, position: NDArray, group_offsets: NDArray, length: int, keep: Keep, cleaned: int
) -> Ranges:
    """What goes because of groups of equal windows. chunk, position: (members,), group after group, those of a group in
    the order of the corpus; group_offsets: (groups + 1,), where each begins.

    A group with a member in the other corpus goes whole. Of any other one `none` takes all members and `all` takes
    nothing; `one` keeps the first member. Of a member that overlaps the first only the part behind it goes, so that of
    a text that repeats itself at once its first `length` tokens stay.
    """
    chunk, position, group_offsets = (np.asarray(one, np.int64) for one in (chunk, position, group_offsets))
    sizes = np.diff(group_offsets)
    first = np.repeat(group_offsets[:-1], sizes)
    outside = np.repeat(np.maximum.reduceat(chunk, group_offsets[:-1]) >= cleaned, sizes) if len(sizes) else chunk < 0
    beyond = np.where(chunk == chunk[first], position - position[first], length).clip(max=length)
    size = np.where(outside | (keep == "none"), length, 0 if keep == "all" else beyond)
    goes = (chunk < cleaned) & (size > 0)
    start, cause = position + length - size, np.where(outside, AGAINST, EXACT).astype(np.uint8)
    return Ranges(chunk[goes], start[goes], size[goes], np.repeat(sizes, sizes)[goes], cause[goes])


def of_windows(chunk: NDArray, position: NDArray, length: int) -> Ranges:
    """What goes because these windows (n,) are near given texts: all of each."""
    chunk, position = np.asarray(chunk, np.int64), np.asarray(position, np.int64)
    size, copies = np.full(len(chunk), length, np.int64), np.zeros(len(chunk), np.int64)
    return Ranges(chunk, position, size, copies, np.full(len(chunk), NEAR, np.uint8))


class Marks:
    """The ranges of one segment (whole documents), of which any number is added; memory: 13 bytes a token.

    offsets: int64 (documents + 1,), where its documents begin in the chunk and the last one ends.
    """

    def __init__(self, offsets: NDArray[np.int64]) -> None:
        """Start without ranges."""
        tokens = int(offsets[-1] - offsets[0])
        self.offsets = offsets
        self.end = np.zeros(tokens, np.int64)  # of the longest range that begins here
        self.copies, self.cause = np.zeros(tokens, np.uint32), np.zeros(tokens, np.uint8)

    def add(self, start: NDArray, size: NDArray, copies: NDArray, cause: NDArray) -> None:
        """Add ranges (n,), with their positions in the chunk."""
        at = start.astype(np.int64) - self.offsets[0]
        np.maximum.at(self.end, at, at + size.astype(np.int64))
        np.maximum.at(self.copies, at, copies.astype(np.uint32))
        np.bitwise_or.at(self.cause, at, cause)

    def cuts(self, drop_above: float | None = None) -> Cuts:
        """The ranges joined. A document of which more than the share `drop_above` goes, goes whole."""
        covered = np.maximum.accumulate(self.end) > np.arange(len(self.end))
        edges = np.zeros(len(covered) + 1, bool)
        edges[self.offsets - self.offsets[0]] = True  # a cut ends where its document does
        before, after = np.append(False, covered), np.append(covered, False)
        starts = np.flatnonzero(after & (~before | edges))
        stops = np.flatnonzero(before & (~after | edges))
        document = np.searchsorted(self.offsets, starts + self.offsets[0], "right") - 1
        first = (self.offsets - self.offsets[0])[document]
        copies = np.maximum.reduceat(self.copies, starts).astype(np.int64) if len(starts) else starts
        cause = np.bitwise_or.reduceat(self.cause, starts) if len(starts) else starts.astype(np.uint8)
        found = Cuts(document, starts - first, stops - first, copies, cause)
        return found if drop_above is None else whole_documents(found, np.diff(self.offsets), drop_above)


def whole_documents(cuts: Cuts, lengths: NDArray[np.int64], drop_above: float) -> Cuts:
    """The cuts of documents of these lengths (documents,), with one cut for all of a document of which a larger share
    than `drop_above` goes."""
    gone = np.bincount(cuts.document, cuts.stop - cuts.start, len(lengths))
    dropped = gone > drop_above * lengths
    inside = dropped[cuts.document]
    first = np.flatnonzero(inside & np.append(True, np.diff(cuts.document) > 0)[: len(inside)])
    kept = ~inside
    kept[first] = True
    bounds = np.flatnonzero(kept)
    copies, cause = cuts.copies, cuts.cause
    if len(bounds):
        copies, cause = np.maximum.reduceat(copies, bounds), np.bitwise_or.reduceat(cause, bounds)
    document, whole = cuts.document[bounds], inside[bounds]
    start, stop = np.where(whole, 0, cuts.start[bounds]), np.where(whole, lengths[document], cuts.stop[bounds])
    return Cuts(document, start, stop, copies, np.where(whole, cause | DOCUMENT, cause).astype(np.uint8))


def kept(start: NDArray, stop: NDArray, size: int) -> list[tuple[int, int]]:
    """The ranges of [0, size) that cuts (n,), rising and apart, leave; none is empty."""
    return _between(list(zip(start.tolist(), stop.tolist())), 0, size)


def recut(
    earlier: Sequence[Sequence[int]], cuts: Sequence[Sequence[int]], size: int, joint: int
) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """What a text has lost that is cut again, and what of it stays.

    earlier: what went before, [start, stop) of the first text, rising and apart; cuts: what goes now, of the text that
    was left, in which its pieces stand with `joint` bytes between them; size: bytes of that text. Returns all cuts as
    ranges of the first text, and the pieces that stay as ranges of the text that was left, without joints.
    """
    edges = [0, *(edge for cut in earlier for edge in cut)]
    lost, stays, at = [list(cut) for cut in earlier], [], 0
    for low, high in itertools.zip_longest(edges[::2], edges[1::2]):
        length = size - at if high is None else high - low  # nothing went behind the last piece
        if length <= 0:
            continue
        inside = [(max(start, at), min(stop, at + length)) for start, stop in cuts]
        inside = [(start, stop) for start, stop in inside if start < stop]
        lost += [[start - at + low, stop - at + low] for start, stop in inside]
        stays += _between(inside, at, at + length)
        at += length + joint
    return _united(lost), stays


def _between(cuts: Sequence[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """The ranges of [low, high) that rising cuts inside it leave."""
    edges = [low, *(edge for cut in cuts for edge in cut), high]
    return [(start, stop) for start, stop in zip(edges[::2], edges[1::2]) if start < stop]


def _united(ranges: list[list[int]]) -> list[list[int]]:
    """Ranges in their order, those that touch as one."""
    found: list[list[int]] = []
    for start, stop in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1][1] = max(found[-1][1], stop)
        else:
            found.append([start, stop])
    return found
