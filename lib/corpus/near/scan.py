"""Near-duplicates of fixed target sequences in a tokenised text, found exactly.

A window of `length` tokens is a candidate for a target when the two share at least length - max_distance tokens as
multisets: a window within Hamming or Levenshtein distance max_distance always does. Candidates are then measured.

The filter keeps, for the window that slides over the text, how often every id stands in it, and for every target
the overlap, a counter of 8 bits. When the c-th copy of id v comes in, the targets with at least c copies of v gain
one: they are a row of 0 and 1, made once. So one step of the window adds one row to all counters and subtracts
another, whatever the text is. Counters are offset so that the highest bit says "candidate".
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from lib.base.errors import TesseraError
from lib.corpus.near import edit_distance
from lib.corpus.near.non_overlapping import thin
from lib.kernels import lanes

SLAB = 512  # targets of one pass over the text, at most
ROW_COUNTERS = 1 << 26  # of a slab's rows, at most: 64 MB of bytes (300 targets of 100 tokens have 2 MB)
TILE = 1 << 20  # tokens that are mapped to dense ids at a time
STEPS = 2048  # of the window, made for one group of targets after another: its rows then stay in the second cache
RUN = 1 << 12  # tokens between the first and the last candidate that are bounded together
TABLE_IDS = 1 << 22  # up to here a table maps ids, 16 MB; beyond it a search in the sorted ids
COUNT, COPIES, BASE = range(3)  # columns of Slab.lookup
METRICS = ("hamming", "levenshtein")


class Slab(NamedTuple):
    """The rows of some targets, and where they lie.

    rows: groups x rows x lanes of 0 and 1, for every group of targets; the last row is zero.
    lookup: int32, one line per dense id: how often it stands in the window (0), how many rows it has, and the offset
    (in items) of the row before its first one; a fourth column makes a line 16 bytes.
    """

    rows: np.ndarray
    lookup: np.ndarray
    start: int  # the counter of an overlap of 0
    n_targets: int
    first_target: int


@dataclass(frozen=True)
class Targets:
    """Targets prepared for scanning. ids: sorted distinct ids; dense: uint32, n x length, 1 + index in `ids`."""

    ids: np.ndarray
    table: np.ndarray | None
    dense: np.ndarray
    max_distance: int
    slabs: list[Slab]

    @property
    def length(self) -> int:
        """Tokens in a target, and in a window."""
        return self.dense.shape[1]


@dataclass(frozen=True)
class Hits:
    """Windows within the distance, sorted by (target, position): uint32, int64, uint16."""

    target: np.ndarray
    position: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.target)


HitsByMetric = dict[str, Hits]  # by metric


def prepare(tokens: np.ndarray, max_distance: int) -> Targets:
    """Prepare targets (n x length, unsigned). Raises TesseraError when there are none, or they are empty."""
    if tokens.ndim != 2 or tokens.size == 0:
        raise TesseraError(f"targets have the shape {tokens.shape}; it must be n x length, both at least 1")
    if not 0 <= max_distance < 1 << 16:
        raise TesseraError(f"max_distance is {max_distance}; it must be 0 to 65535")
    ids, inverse = np.unique(tokens, return_inverse=True)
    dense = (inverse.reshape(tokens.shape) + 1).astype(np.uint32)
    size = max(1, min(SLAB, math.isqrt(ROW_COUNTERS // tokens.shape[1])))
    pieces = np.array_split(np.arange(len(tokens)), -(-len(tokens) // size))
    slabs = [_slab(dense[piece], len(ids), max_distance, int(piece[0])) for piece in pieces]
    return Targets(ids, _table(ids), dense, max_distance, slabs)


def scan(tokens: np.ndarray, offsets: np.ndarray, targets: Targets, start: int, stop: int) -> HitsByMetric:
    """All near-duplicates whose window starts in [start, stop), by metric, overlapping ones included.

    tokens: the text, 1-D unsigned, a memory map will do; offsets: int64, document d is tokens[offsets[d]:offsets[d+1]].
    A window lies inside one document and may read past `stop`.
    """
    found: dict[str, list[Hits]] = {metric: [] for metric in METRICS}
    for low in range(start, stop, TILE):
        firsts, stops = _window_starts(offsets, targets.length, low, min(low + TILE, stop))
        if len(firsts) == 0:
            continue
        dense = _dense(tokens[int(firsts[0]) : int(stops[-1]) + targets.length - 1], targets)
        for slab in targets.slabs:
            for metric, target, position, distance in _scan_slab(
                dense, firsts - firsts[0], stops - firsts[0], targets, slab
            ):
                found[metric].append(_hits(target, position, distance, slab.first_target, int(firsts[0])))
    return {metric: merge(parts) for metric, parts in found.items()}


def merge(parts: list[Hits]) -> Hits:
    """Several lists as one, sorted by (target, position)."""
    if not parts:
        return Hits(np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.uint16))
    target, position, distance = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("target", "position", "distance")
    )
    order = np.lexsort((position, target))
    return Hits(target[order], position[order], distance[order])


def keep(hits: Hits, decide: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Hits:
    """The hits that `decide(positions, distances) -> bool` keeps, target by target."""
    if len(hits) == 0:
        return hits
    bounds = np.flatnonzero(np.diff(hits.target)) + 1
    pairs = zip(np.split(hits.position, bounds), np.split(hits.distance, bounds))
    kept = np.concatenate([decide(position, distance) for position, distance in pairs])
    return Hits(hits.target[kept], hits.position[kept], hits.distance[kept])


def thinned(found: HitsByMetric, length: int, low: int, high: int) -> HitsByMetric:
    """What can still matter of all near-duplicates that start in [low, high); see
    lib.corpus.near.non_overlapping.thin."""
    return {metric: keep(hits, lambda p, d: thin(p, d, length, low, high)) for metric, hits in found.items()}


def _table(ids: np.ndarray) -> np.ndarray | None:
    """The dense id of every id up to the largest one, and 0 for one more, which stands for all others."""
    if int(ids[-1]) >= TABLE_IDS:
        return None
    table = np.zeros(int(ids[-1]) + 2, np.uint32)
    table[ids] = np.arange(1, len(ids) + 1)
    return table


def _dense(tokens: np.ndarray, targets: Targets) -> np.ndarray:
    """The dense ids of a text, uint32; 0 for ids of no target, and for a margin beyond the end."""
    dense = np.zeros(len(tokens) + edit_distance.MARGIN, np.uint32)
    if targets.table is not None:
        _look_up_ids(targets.table, tokens, dense)
    else:
        at = np.searchsorted(targets.ids, tokens)
        known = targets.ids.take(at, mode="clip") == tokens
        dense[: len(tokens)] = np.where(known, at + 1, 0)
    return dense


@njit(cache=True, nogil=True)
def _look_up_ids(table, tokens, dense):
    for i in range(len(tokens)):  # three times as fast as numpy's take
        dense[i] = table[min(np.int64(tokens[i]), len(table) - 1)]


def _window_starts(offsets: np.ndarray, length: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """First start and stop of the windows of every document that has some in [low, high): int64 each."""
    first = int(np.searchsorted(offsets, low, "right")) - 1
    bounds = offsets[max(first, 0) : int(np.searchsorted(offsets, high, "left")) + 1].astype(np.int64)
    firsts, stops = np.maximum(bounds[:-1], low), np.minimum(bounds[1:] - length + 1, high)
    some = stops > firsts
    return firsts[some], stops[some]


def _slab(dense: np.ndarray, n_ids: int, max_distance: int, first_target: int) -> Slab:
    """Rows and counters for some targets (uint32, n x length)."""
    target, dense_id, copy = _copies(dense)
    start, dtype = _counter(dense.shape[1], max_distance)
    lanes_each = lanes.lanes(dtype)
    lookup = np.zeros((n_ids + 1, 4), np.int32)
    np.maximum.at(lookup[:, COPIES], dense_id, copy + 1)
    first_row = np.cumsum(lookup[:, COPIES], dtype=np.int64) - lookup[:, COPIES]
    lookup[:, BASE] = (first_row - 1) * lanes_each
    rows: np.ndarray = np.zeros((-(-len(dense) // lanes_each), int(lookup[:, COPIES].sum()) + 1, lanes_each), dtype)
    rows[target // lanes_each, first_row[dense_id] + copy, target % lanes_each] = 1
    return Slab(rows, lookup, start, len(dense), first_target)


def _copies(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every token of every target as (target, id, how many of this id stand before it in the target)."""
    ordered = np.sort(dense, axis=1)
    column = np.broadcast_to(np.arange(dense.shape[1]), dense.shape)
    new = np.ones(dense.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    copy = column - np.maximum.accumulate(np.where(new, column, 0), axis=1)
    return np.repeat(np.arange(len(dense)), dense.shape[1]), ordered.ravel(), copy.ravel()


def _counter(length: int, max_distance: int) -> tuple[int, type]:
    """The counter of an overlap of 0 whose high bit is set at length - max_distance, and the least dtype for it."""
    least = max(0, length - max_distance)
    for dtype in (np.uint8, np.uint16, np.uint32):
        high = 1 << (8 * np.dtype(dtype).itemsize - 1)
        if least <= high and high - least + length < 2 * high:
            return high - least, dtype
    raise TesseraError(f"targets have {length} tokens; they may have at most {1 << 31}")


def _hits(target: np.ndarray, position: np.ndarray, distance: np.ndarray, first_target: int, base: int) -> Hits:
    return Hits(target.astype(np.uint32) + np.uint32(first_target), position + base, distance.astype(np.uint16))


def _scan_slab(
    dense: np.ndarray, firsts: np.ndarray, stops: np.ndarray, targets: Targets, slab: Slab
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """(metric, target in the slab, position, distance) for one slab, some candidates at a time."""
    capacity = 2 * STEPS * slab.n_targets  # STEPS always find room
    positions, numbers = np.empty(capacity, np.int64), np.empty(capacity, np.uint16)
    verifier = _Verifier(targets, slab)
    document, firsts, lookup = 0, firsts.copy(), slab.lookup.copy()
    while document < len(firsts):
        document, position, n = _candidates(
            dense, firsts, stops, document, targets.length, slab, lookup, positions, numbers
        )
        if document < len(firsts):  # no room for more; go on from here
            firsts[document] = position
        yield from verifier.measure(dense, positions[:n], numbers[:n])


class _Verifier:
    """Measures candidates, target by target, so that a target's bit table is made once for all of its windows."""

    def __init__(self, targets: Targets, slab: Slab):
        self.patterns = targets.dense[slab.first_target : slab.first_target + slab.n_targets]
        self.padded = edit_distance.pad(self.patterns)
        self.limit = targets.max_distance
        words = edit_distance.n_words(targets.length)
        self.pattern_bits = np.zeros((len(targets.ids) + 1, words), np.uint64)

    def measure(
        self, dense: np.ndarray, positions: np.ndarray, numbers: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        """Candidates (position, target) to (metric, target, position, distance) within the limit."""
        order = np.argsort(numbers, kind="stable")  # positions rise within a target; a radix sort, being uint16
        positions, numbers = positions[order], numbers[order]
        distances = np.empty((2, len(positions)), np.int64)
        _measure(dense, positions, numbers, self.patterns, self.padded, self.pattern_bits, self.limit, *distances)
        for metric, distance in zip(METRICS, distances):
            near = distance <= self.limit
            yield metric, numbers[near], positions[near], distance[near]


@njit(cache=True, nogil=True)
def _candidates(tokens, firsts, stops, begin, length, slab, lookup, positions, numbers):
    """Fill positions and numbers with candidates, from the window firsts[begin] of document `begin` on.

    Returns (document, position to go on from, candidates found); document is len(firsts) when all is done.
    """
    found, room = 0, len(positions) - STEPS * slab.n_targets
    counters = np.empty(slab.rows.shape[0] * slab.rows.shape[2], slab.rows.dtype)
    come, leave = np.empty(max(STEPS, length), np.uint32), np.empty(max(STEPS, length), np.uint32)
    for document in range(begin, len(firsts)):
        position, stop = firsts[document], stops[document]
        if position < stop and found <= room:
            _enter(tokens, position, length, slab, lookup, counters, come, leave)
            found = _collect(counters, slab, position, positions, numbers, found)
            position += 1
        while position < stop and found <= room:
            steps = min(STEPS, stop - position)
            _look_up(tokens, position, steps, length, slab, lookup, come, leave)
            found = _shift(counters, slab, come, leave, steps, position, positions, numbers, found)
            position += steps
        if position > firsts[document]:
            _empty(tokens, position - 1, length, lookup)
        if position < stop:
            return document, position, found
    return len(firsts), 0, found


@njit(cache=True, nogil=True)
def _enter(tokens, position, length, slab, lookup, counters, come, leave):
    """Count the first window of a document."""
    _, n_rows, lanes_each = slab.rows.shape
    leave[:length] = (n_rows - 1) * lanes_each
    for i in range(length):
        come[i] = _add(lookup, tokens[position + i], leave[0], lanes_each)
    counters[:] = slab.start
    for group in range(slab.rows.shape[0]):
        step = 0
        while step < length:
            step = lanes.advance(
                counters, group * lanes_each, slab.rows, group * n_rows * lanes_each, come, leave, step, length
            )


@njit(cache=True, nogil=True)
def _empty(tokens, position, length, lookup):
    """Take the last window out again: cheaper than clearing the counts of all ids."""
    for i in range(position, position + length):
        lookup[tokens[i], COUNT] -= 1


@njit(cache=True, nogil=True)
def _add(lookup, token, zero, lanes_each):
    """One more copy of `token` in the window: the offset of its row; that of the zero row if no target has as many."""
    copy = lookup[token, COUNT] + 1
    lookup[token, COUNT] = copy
    row = lookup[token, BASE] + copy * lanes_each
    return row if copy <= lookup[token, COPIES] else zero


@njit(cache=True, nogil=True)
def _look_up(tokens, position, steps, length, slab, lookup, come, leave):
    """The offsets of the rows that come and leave as the window moves to `position` and on, `steps` steps in all."""
    lanes_each = slab.rows.shape[2]
    zero = (slab.rows.shape[1] - 1) * lanes_each
    for step in range(steps):
        token = tokens[position - 1 + step]
        copy = lookup[token, COUNT]
        lookup[token, COUNT] = copy - 1
        row = lookup[token, BASE] + copy * lanes_each
        leave[step] = row if copy <= lookup[token, COPIES] else zero
        come[step] = _add(lookup, tokens[position - 1 + step + length], zero, lanes_each)


@njit(cache=True, nogil=True)
def _shift(counters, slab, come, leave, steps, position, positions, numbers, found):
    """Move the window to `position` and on, `steps` steps in all; returns the candidates found by then."""
    n_groups, n_rows, lanes_each = slab.rows.shape
    for group in range(n_groups):
        at, step = group * lanes_each, 0
        while step < steps:
            step = lanes.advance(counters, at, slab.rows, group * n_rows * lanes_each, come, leave, step, steps)
            found = _collect_group(counters, at, slab.n_targets, position + step - 1, positions, numbers, found)
    return found


@njit(cache=True, nogil=True)
def _collect(counters, slab, position, positions, numbers, found):
    """Append (position, target) for every counter whose high bit is set."""
    for at in range(0, len(counters), slab.rows.shape[2]):
        found = _collect_group(counters, at, slab.n_targets, position, positions, numbers, found)
    return found


@njit(cache=True, nogil=True)
def _collect_group(counters, at, n_targets, position, positions, numbers, found):
    high = lanes.high(counters, at)
    while high:
        number = at + lanes.trailing_zeros(high)
        if number < n_targets:  # where everything is a candidate, so is the padding
            positions[found], numbers[found] = position, number
            found += 1
        high &= high - np.uint64(1)
    return found


@njit(cache=True, nogil=True)
def _measure(tokens, positions, numbers, patterns, padded, pattern_bits, limit, hammings, levenshteins):
    """Both distances of every candidate; a number above `limit` where they exceed it."""
    length = patterns.shape[1]
    equal, distances = np.empty(length + lanes.WINDOWS, np.uint64), np.empty(lanes.WINDOWS, np.uint64)
    more, less = np.empty(length * lanes.WINDOWS, np.uint64), np.empty(length * lanes.WINDOWS, np.uint64)
    steps, least = np.empty(RUN + length, np.uint8), np.empty(RUN + length, np.int64)
    hammings[:], levenshteins[:] = limit + 1, limit + 1
    first = 0
    while first < len(positions):
        last = _run_end(positions, numbers, first, length)
        number, start = numbers[first], positions[first]
        edit_distance.set_pattern(pattern_bits, patterns[number])
        edit_distance.search(tokens, start, positions[last - 1] + length, length, pattern_bits, steps, least)
        measured, next_near = start - lanes.WINDOWS, start
        for i in range(first, last):
            position = positions[i]
            if least[position - start + length - 1] > limit:
                continue
            hammings[i] = edit_distance.hamming(tokens, position, padded[number], length)
            if position < next_near:
                continue
            if position >= measured + lanes.WINDOWS:
                measured = position
                edit_distance.levenshtein(tokens, position, length, pattern_bits, equal, more, less, distances)
            levenshteins[i] = np.int64(distances[position - measured])
            # One step of the window changes the distance by at most 2 (one token out, one in).
            next_near = position + (levenshteins[i] - limit + 1) // 2
        edit_distance.clear_pattern(pattern_bits, patterns[number])
        first = last


@njit(cache=True, nogil=True)
def _run_end(positions, numbers, first, length):
    """The end of a run of candidates: of one target, each overlapping the one before, all within RUN tokens."""
    last = first + 1
    while (
        last < len(positions)
        and numbers[last] == numbers[first]
        and positions[last] < positions[last - 1] + length
        and positions[last] < positions[first] + RUN
    ):
        last += 1
    return last
