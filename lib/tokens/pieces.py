"""GPT-2's pieces: the words, numbers, marks and blanks that byte-level BPE merges inside, and a cache of their ids.

The rule is the published regular expression (Radford et al., 2019)

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

on UTF-8 bytes. tiktoken with this expression reaches 5 to 9 MB/s a core on source text (4.6 times the speed of
`tokenizers`, from file to file): half of that is the backtracking engine, and nearly every piece was met before. A
scanner, and a table from pieces to ids, reach 40 to 60 MB/s.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

OTHER, LETTER, NUMBER, BLANK = range(4)
POINTS = 0x40000  # beyond: no letter, number or blank (private use, tags and unassigned planes)
SEPARATOR = "\U0010ffff"  # between pieces that are spelled at once; no character, by the standard
KEY_BYTES = 31  # the 32nd byte of a key is the piece's length; longer pieces are rare and are not kept
FULL = 0.5  # a table with linear probing slows down beyond
WORN = 0.9  # of what it takes before it slows down: then it is emptied, and learns what the text is like now

_SPACE, _APOSTROPHE = ord(" "), ord("'")
_S, _T, _M, _D, _L, _R, _V, _E = map(ord, "stmdlrve")
_MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


@njit(cache=True, nogil=True)
def _class(text: np.ndarray, at: int, classes: np.ndarray) -> tuple[int, int]:
    """Class and number of bytes of the character at `at` (valid UTF-8)."""
    first = np.int64(text[at])
    if first < 0x80:
        return classes[first], 1
    if first < 0xE0:
        return classes[(first & 0x1F) << 6 | text[at + 1] & 0x3F], 2
    if first < 0xF0:
        return classes[(first & 0xF) << 12 | (text[at + 1] & 0x3F) << 6 | text[at + 2] & 0x3F], 3
    point = (first & 0x7) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | text[at + 3] & 0x3F
    return classes[point] if point < POINTS else OTHER, 4


@njit(cache=True, nogil=True)
def _contraction(text: np.ndarray, at: int, stop: int) -> int:
    """The length of 's 't 'm 'd 'll 're 've at an apostrophe; 0 when none stands there."""
    first = text[at + 1] if at + 1 < stop else 0
    if first in (_S, _T, _M, _D):
        return 2
    second = text[at + 2] if at + 2 < stop else 0
    return 3 if (first == _L and second == _L) or (first in (_R, _V) and second == _E) else 0


@njit(cache=True, nogil=True)
def piece_end(text: np.ndarray, start: int, stop: int, classes: np.ndarray) -> int:
    """Where the piece ends that begins at byte `start` of the text that ends at `stop` (start < stop)."""
    if text[start] == _APOSTROPHE:
        length = _contraction(text, start, stop)
        if length:
            return start + length
    kind, width = _class(text, start, classes)
    last, end = start, start + width
    if text[start] == _SPACE and end < stop:  # one space goes with what follows
        following, width = _class(text, end, classes)
        if following != BLANK:
            kind, last, end = following, end, end + width
    while end < stop:
        following, width = _class(text, end, classes)
        if following != kind:
            # of several blanks the last one stands before the next piece: \s+(?!\S)
            return last if kind == BLANK and last > start else end
        last, end = end, end + width
    return end


@njit(cache=True, nogil=True)
def _slot(text: np.ndarray, start: int, end: int, keys: np.ndarray) -> tuple[np.int64, bool]:
    """The table's slot for a piece of at most KEY_BYTES, and whether the piece is there; a new key is written."""
    a = b = c = np.uint64(0)
    d = np.uint64(end - start) << np.uint64(56)
    for index in range(end - start):
        byte = np.uint64(text[start + index]) << np.uint64(8 * (index & 7))
        if index < 8:
            a |= byte
        elif index < 16:
            b |= byte
        elif index < 24:
            c |= byte
        else:
            d |= byte
    mixed = a * np.uint64(_MIX[0]) ^ b * np.uint64(_MIX[1]) ^ c * np.uint64(_MIX[2]) ^ d * np.uint64(_MIX[3])
    mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(_MIX[1])
    mask = len(keys) - 1
    slot = np.int64(mixed >> np.uint64(32)) & mask
    while keys[slot, 3] != 0:
        if keys[slot, 0] == a and keys[slot, 1] == b and keys[slot, 2] == c and keys[slot, 3] == d:
            return slot, True
        slot = (slot + 1) & mask
    keys[slot, 0], keys[slot, 1], keys[slot, 2], keys[slot, 3] = a, b, c, d
    return slot, False


@njit(cache=True, nogil=True)
def _look_up(text, bounds, classes, keys, room, entries, per_text, new_slots, new_spans, long_spans):
    """Every piece's entry: a slot of the table, or -1 - its row in `long_spans`. Returns (pieces, new, long)."""
    pieces = new = long = 0
    for row in range(len(bounds) - 1):
        start, stop, before = bounds[row], bounds[row + 1], pieces
        while start < stop:
            end = piece_end(text, start, stop, classes)
            if end - start > KEY_BYTES or new >= room:
                long_spans[long, 0], long_spans[long, 1] = start, end
                long += 1
                entries[pieces] = -long
            else:
                slot, known = _slot(text, start, end, keys)
                entries[pieces] = slot
                if not known:
                    new_slots[new], new_spans[new, 0], new_spans[new, 1] = slot, start, end
                    new += 1
            pieces += 1
            start = end
        per_text[row] = pieces - before
    return pieces, new, long


@njit(cache=True, nogil=True)
def _emit(entries, per_text, starts, counts, pool, long_starts, long_pool, ids, lengths):
    """The ids of all pieces, one after another, and how many each text has. Returns how many in all."""
    piece = written = 0
    for row in range(len(per_text)):
        before = written
        for _ in range(per_text[row]):
            entry = entries[piece]
            piece += 1
            if entry >= 0:
                for index in range(starts[entry], starts[entry] + counts[entry]):
                    ids[written] = pool[index]
                    written += 1
            else:
                for index in range(long_starts[-entry - 1], long_starts[-entry]):
                    ids[written] = long_pool[index]
                    written += 1
        lengths[row] = written - before
    return written


class Encoded(NamedTuple):
    """The ids of several texts. ids: uint32, one text after another; lengths: int64, ids of each text."""

    ids: np.ndarray
    lengths: np.ndarray


class PieceEncoder:
    """GPT-2's pieces to ids.

    spell: the ids of some pieces, at most one a byte, called once for each while the table remembers it.
    classes: uint8, POINTS long: the class of every code point. slots: a power of two; the table takes 44 bytes each.
    """

    def __init__(self, spell: Callable[[Sequence[bytes]], Encoded], classes: np.ndarray, slots: int = 1 << 19) -> None:
        """Start with an empty table."""
        self._spell_all, self._classes, self._slots = spell, classes, slots
        self._pool: np.ndarray
        self._used: int
        self._forget()

    def encode(self, texts: list[bytes]) -> Encoded:
        """The ids of each text (valid UTF-8). Memory: about 40 bytes for each byte of all texts together."""
        data = b"".join(texts)
        text = np.frombuffer(data, dtype=np.uint8)
        bounds = np.concatenate([[0], np.cumsum([len(one) for one in texts], dtype=np.int64)])
        if self._used > self._slots * FULL * WORN:
            self._forget()
        entries, per_text = np.empty(len(text), np.int32), np.empty(len(texts), np.int64)
        new_slots, new_spans = np.empty(len(text), np.int32), np.empty((len(text), 2), np.int64)
        long_spans = np.empty((len(text), 2), np.int64)
        room = int(self._slots * FULL) - self._used
        pieces, new, long = _look_up(
            text, bounds, self._classes, self._keys, room, entries, per_text, new_slots, new_spans, long_spans
        )
        self._learn(data, new_slots[:new], new_spans[:new])
        return self._gather(entries[:pieces], per_text, self._spell(data, long_spans[:long]), len(text))

    def _gather(self, entries: np.ndarray, per_text: np.ndarray, long: Encoded, most: int) -> Encoded:
        ids, lengths = np.empty(most, np.uint32), np.empty(len(per_text), np.int64)
        starts = np.concatenate([[0], np.cumsum(long.lengths)])
        written = _emit(entries, per_text, self._starts, self._counts, self._pool, starts, long.ids, ids, lengths)
        return Encoded(ids[:written].copy(), lengths)

    def _learn(self, data: bytes, slots: np.ndarray, spans: np.ndarray) -> None:
        found = self._spell(data, spans)
        self._starts[slots] = len(self._pool) + np.cumsum(found.lengths) - found.lengths
        self._counts[slots] = found.lengths
        self._pool = np.concatenate([self._pool, found.ids])
        self._used += len(slots)

    def _spell(self, data: bytes, spans: np.ndarray) -> Encoded:
        found = self._spell_all([data[start:end] for start, end in spans.tolist()])
        if (found.lengths > spans[:, 1] - spans[:, 0]).any():
            raise ValueError("a piece has more ids than bytes: the results would not fit")
        return found

    def _forget(self) -> None:
        self._keys = np.zeros((self._slots, 4), np.uint64)
        self._starts, self._counts = np.zeros(self._slots, np.int64), np.zeros(self._slots, np.int32)
        self._pool, self._used = np.zeros(0, np.uint32), 0
