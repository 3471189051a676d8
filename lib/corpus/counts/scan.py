"""Counts how often query sequences occur in a tokenised text: by one streaming scan, or by a suffix array.

An occurrence lies inside one document; overlapping ones count ("aa" occurs 3 times in "aaaa"). Queries are one
(n, length) array; equal queries each get their count. Both ways give the same counts.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from lib.base.errors import TesseraError

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token's part of the hash ever vanishes
PIECE = 1 << 16  # window starts that are copied and scanned at once; with the filter they stay in the second cache
BITS_PER_QUERY = 64  # in the filter: about 0.1 % of other windows pass it
FIRST, SECOND = np.uint64(32), np.uint64(38)  # where a hash has the bits that the filter looks at
NONE = -1


class Index(NamedTuple):
    """Queries prepared for `scan`.

    queries: (n, length), the dtype of the text. owner: int64 (n,), the first query of equal tokens. slots: int64, an
    open hash table of owners; marks: uint32, what a hash in that slot ends in (0 where the slot is empty), so that few
    windows are compared token by token. filter: uint64, two bits of one word for each query (a Bloom filter that
    costs one access; Putze, Sanders and Singler 2007). shifts: uint64, how far a hash goes down to become a slot, and
    a word of the filter.
    """

    queries: np.ndarray
    owner: np.ndarray
    slots: np.ndarray
    marks: np.ndarray
    filter: np.ndarray
    shifts: np.ndarray


def check_queries(queries: np.ndarray, vocab_size: int) -> None:
    """Raise TesseraError unless queries are (n, length) whole numbers, n and length at least 1, below vocab_size."""
    queries = np.asarray(queries)
    if queries.ndim != 2 or queries.dtype.kind not in "iu":
        raise TesseraError(f"queries are {queries.dtype} of shape {queries.shape}; they must be token ids, n x length")
    if not queries.size:
        raise TesseraError(f"queries have the shape {queries.shape}; give at least one query of at least one token")
    wrong = np.flatnonzero(((queries < 0) | (queries >= vocab_size)).any(axis=1))
    if len(wrong):
        row = queries[wrong[0]]
        worst = int(row[(row < 0) | (row >= vocab_size)][0])
        raise TesseraError(
            f"query {wrong[0]} has the id {worst}, but vocab_size is {vocab_size}; "
            "make queries and corpus with the same tokenizer"
        )


def prepare(queries: np.ndarray, dtype: np.dtype) -> Index:
    """The index of (n, length) queries, for texts of `dtype` (uint16 or uint32). Needs about 40 bytes a query more."""
    queries = np.ascontiguousarray(queries, dtype=dtype)
    n = len(queries)
    slot_bits, word_bits = _bits(2 * n), _bits(BITS_PER_QUERY * n // 64)
    index = Index(
        queries, np.arange(n), np.zeros(1 << slot_bits, np.int64), np.zeros(1 << slot_bits, np.uint32),
        np.zeros(1 << word_bits, np.uint64), np.array([64 - slot_bits, 64 - word_bits], np.uint64),
    )  # fmt: skip
    _insert_all(*index)
    return index


def scan(index: Index, tokens: np.ndarray, offsets: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Occurrences of every query that begin in tokens[start:stop]: int64 (n,).

    tokens: 1-D, the dtype of the index, a memory map will do; offsets: int64, documents + 1, of the whole text. A
    rolling hash (Karp and Rabin 1987) is modulo 2^64; a window whose hash passes the filter and is that of a query
    counts only when all tokens are equal.
    """
    length = index.queries.shape[1]
    stop = min(len(tokens) if stop is None else stop, len(tokens) - length + 1)
    counts = np.zeros(len(index.queries), np.int64)
    buffer = np.zeros(PIECE + length, index.queries.dtype)  # one for all pieces: new pages would cost as much as a scan
    passed = np.empty(PIECE, np.int64), np.empty(PIECE, np.uint64)
    for low in range(start, stop, PIECE):
        high = min(low + PIECE, stop)
        text = buffer[: high - low + length]  # its last token would enter after the last window
        text[:-1] = tokens[low : high + length - 1]
        first, last = np.searchsorted(offsets, low, "right") - 1, np.searchsorted(offsets, high, "left")
        _scan_piece(index, text, offsets[first : last + 1] - low, passed, counts)
    return counts[index.owner]


def _scan_piece(
    index: Index, text: np.ndarray, bounds: np.ndarray, passed: tuple[np.ndarray, np.ndarray], counts: np.ndarray
) -> None:
    length = index.queries.shape[1]
    value, power = np.uint64(_hash(text, 0, length)), np.uint64(_power(length))
    n = _pass_filter(text[:-length], text[length:], value, power, index.filter, index.shifts[1], *passed)
    starts, values = passed[0][:n], passed[1][:n]
    _count(text, bounds, starts, values, index.queries, index.slots, index.marks, index.shifts[0], counts)


def search(
    queries: np.ndarray, tokens: np.ndarray, offsets: np.ndarray, positions: np.ndarray, depth: int
) -> np.ndarray:
    """Occurrences of every query by binary search in the suffix array `positions`: int64 (n,).

    positions: uint32 or uint64, sorted by the first `depth` tokens, the end of the text before any token. Runs of
    equal prefixes are then followed one by one, to leave out what crosses the border of a document, or differs beyond
    `depth`. Raises TesseraError when an entry is not a position of the text.
    """
    queries = np.ascontiguousarray(queries, dtype=tokens.dtype)
    if len(positions) != len(tokens):
        raise TesseraError(
            f"a suffix array of {len(positions)} entries does not fit {len(tokens)} tokens; give that of this chunk"
        )
    counts = np.zeros(len(queries), np.int64)
    wrong = _search(queries, np.asarray(tokens), offsets, np.asarray(positions), min(depth, queries.shape[1]), counts)
    if wrong != NONE:
        raise TesseraError(
            f"suffix array: entry {wrong} is {positions[wrong]}, not a position in {len(tokens)} tokens; make it again"
        )
    return counts


def _bits(n: int) -> int:
    """The least b with 2^b >= n, at least 1."""
    return max(1, int(n - 1).bit_length())


@njit(cache=True, nogil=True, inline="always")
def _hash(text, start, length):
    """The sum of text[start + i] * MULTIPLIER^(length - i); the last token, too, reaches the high bits."""
    value = np.uint64(0)
    for i in range(start, start + length):
        value = (value + np.uint64(text[i])) * MULTIPLIER
    return value


@njit(cache=True, nogil=True)
def _equal(window, query):
    """Whether two arrays of one length are equal. Without an early exit: it vectorises, and hashes hardly ever lie."""
    difference = np.uint32(0)
    for i in range(len(query)):
        difference |= np.uint32(window[i] ^ query[i])
    return difference == 0


@njit(cache=True, nogil=True)
def _mark(value):
    return np.uint32(value) | np.uint32(1)


@njit(cache=True, nogil=True, inline="always")
def _bit(value, which):
    """Six bits of the hash, as the place of a bit in a word of the filter."""
    return value >> which & np.uint64(63)


@njit(cache=True, nogil=True)
def _find(text, start, value, queries, slots, marks, shift):
    """The slot of the query that stands at text[start:], whose hash is `value`; else the empty slot where it goes."""
    slot = np.int64(value >> shift)
    while marks[slot] != 0:
        if marks[slot] == _mark(value) and _equal(text[start : start + queries.shape[1]], queries[slots[slot]]):
            break
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@njit(cache=True, nogil=True)
def _insert_all(queries, owner, slots, marks, filter, shifts):
    for row in range(len(queries)):
        value = _hash(queries[row], 0, queries.shape[1])
        slot = _find(queries[row], 0, value, queries, slots, marks, shifts[0])
        if marks[slot] == 0:
            slots[slot] = row
            marks[slot] = _mark(value)
        owner[row] = slots[slot]
        filter[value >> shifts[1]] |= np.uint64(1) << _bit(value, FIRST) | np.uint64(1) << _bit(value, SECOND)


@njit(cache=True, nogil=True)
def _power(length):
    """MULTIPLIER^length modulo 2^64."""
    power = np.uint64(1)
    for _ in range(length):
        power *= MULTIPLIER
    return power


@njit(cache=True, nogil=True)
def _pass_filter(leaving, entering, value, power, filter, shift, starts, values):
    """List the windows whose hash has its bit in the filter, those across documents, too; returns how many.

    value: hash of the first window; then, one by one, leaving[i] makes room for entering[i]. There is no branch, and no
    verification here: a branch that is taken for 2 % of tokens, and a hash that the compiler then keeps in memory,
    make it 4 times as long. Only one addition and one product wait for those of the token before.
    """
    n = np.int64(0)
    for i in range(len(leaving)):
        word = filter[value >> shift]
        starts[n] = i
        values[n] = value
        n += np.int64(word >> _bit(value, FIRST) & word >> _bit(value, SECOND) & np.uint64(1))
        value = (value + (np.uint64(entering[i]) - np.uint64(leaving[i]) * power)) * MULTIPLIER
    return n


@njit(cache=True, nogil=True)
def _count(text, bounds, starts, values, queries, slots, marks, shift, counts):
    """Add the listed windows (ascending) that are queries and lie inside one document [bounds[d], bounds[d + 1])."""
    document = 0
    for i in range(len(starts)):
        slot = _find(text, starts[i], values[i], queries, slots, marks, shift)
        if marks[slot] == 0:
            continue
        while bounds[document + 1] <= starts[i]:
            document += 1
        if starts[i] + queries.shape[1] <= bounds[document + 1]:
            counts[slots[slot]] += 1


@njit(cache=True, nogil=True)
def _search(queries, text, offsets, positions, depth, counts):
    """Fill `counts`. Returns the index of an entry that is not a position, or NONE."""
    for row in range(len(queries)):
        low, wrong = _bound(queries[row], text, positions, depth, 0, 0)
        if wrong != NONE:
            return wrong
        high, wrong = _bound(queries[row], text, positions, depth, low, 1)
        if wrong != NONE:
            return wrong
        for entry in range(low, high):
            if np.int64(positions[entry]) >= len(text):
                return entry
            counts[row] += _occurs(queries[row], text, offsets, np.int64(positions[entry]), depth)
    return NONE


@njit(cache=True, nogil=True)
def _bound(query, text, positions, depth, low, sign):
    """(The first entry from `low` whose `depth` tokens compare with the query's as `sign` or above, a wrong entry)."""
    high = len(positions)
    while low < high:
        middle = (low + high) >> 1
        position = np.int64(positions[middle])
        if position >= len(text) or position < 0:
            return low, middle
        if _compare(text, position, query, depth) >= sign:
            high = middle
        else:
            low = middle + 1
    return low, NONE


@njit(cache=True, nogil=True)
def _compare(text, position, query, depth):
    """-1, 0 or 1 as the suffix stands before, with or after query[:depth]; the end stands before any token."""
    for i in range(depth):
        if position + i >= len(text) or text[position + i] < query[i]:
            return -1
        if text[position + i] > query[i]:
            return 1
    return 0


@njit(cache=True, nogil=True)
def _occurs(query, text, offsets, position, depth):
    """Whether the query, whose first `depth` tokens stand at `position`, does so whole inside one document."""
    document = np.searchsorted(offsets, position, side="right") - 1
    inside = position + len(query) <= offsets[document + 1]
    return inside and _equal(text[position + depth : position + len(query)], query[depth:])
