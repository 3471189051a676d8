"""Hashes of all windows of a text, in one pass in its order.

Two hashes of 61 bits tell windows apart: h = sum of t_i B^(L - 1 - i) modulo the prime 2^61 - 1, each with a base B of
its own (Karp and Rabin 1987). A base that makes the hashes of two different windows of L tokens equal is a root of
their difference, a polynomial of degree below L; so fewer than L of the 2^59 bases do. Both hashes are equal with a
chance below (L / 2^59)^2, whatever the text, if it was not made for these bases: below 2e-8 for any two of 2^40 windows
of 100 tokens. Polynomials modulo 2^64 have no such bound: parts of the Thue-Morse sequence collide there for any base.
"""

from math import isqrt
from typing import NamedTuple

import numpy as np
from numba import njit

from lib.kernels.mersenne import PRIME, least, multiply_add

BASES = tuple(isqrt(n << 118) % (1 << 59) for n in (2, 3))  # the first 59 binary digits of two roots, behind the point
_U64 = np.uint64
_BASE, _OTHER = map(_U64, BASES)
_PRIME, _1, _63 = _U64(PRIME), _U64(1), 63
_M1, _M2, _33 = _U64(0xFF51AFD7ED558CCD), _U64(0xC4CEB9FE1A85EC53), _U64(33)


class Selection(NamedTuple):
    """Which windows are hashed: those whose cell is in low .. high - 1 of their shard.

    low, high: int64 (shards,), numbers of cells; a shard is the first `shard_bits` bits of a key, a cell `cell_bits`.
    """

    cell_bits: int
    shard_bits: int
    low: np.ndarray
    high: np.ndarray


class Hashed(NamedTuple):
    """Windows in the order of the text. keys: a hash that is mixed, bit for bit reversible, so that its first bits cut
    windows evenly; others: the second hash; places: where they begin. uint64 (n,); others and places may be empty."""

    keys: np.ndarray
    others: np.ndarray
    places: np.ndarray


@njit(cache=True, nogil=True, inline="always")
def prefix(key, bits):
    """The first `bits` (0 to 63) bits of a key, as int64."""
    return np.int64((key >> _1) >> _U64(_63 - bits))


def hashes(
    tokens: np.ndarray, offsets: np.ndarray, start: int, stop: int, length: int, selection: Selection, base: int,
    room: Hashed,
) -> Hashed:  # fmt: skip
    """The selected windows inside documents that begin in start .. stop - 1 of a chunk.

    tokens, offsets: of the chunk; base: added to places; room: what to fill, uint64 (stop - start or more,), of which
    others and places may be empty, if they are not wanted. What is returned lies in it.
    """
    first = int(np.searchsorted(offsets, start, "right")) - 1
    bounds = np.asarray(offsets[first : int(np.searchsorted(offsets, stop, "left")) + 1], np.int64)
    powers = tuple(_U64(PRIME - pow(one, length, PRIME)) for one in BASES)
    text, base = tokens[start : stop + length - 1], base + start
    found = _hashes(text, bounds - start, stop - start, length, powers, selection, _U64(base), *room)
    return Hashed(*(values[:found] for values in room))


@njit(cache=True, nogil=True)
def _hashes(text, bounds, stop, length, powers, selection, base, keys, others, places):
    found = 0
    for document in range(len(bounds) - 1):
        first, end = max(bounds[document], 0), min(bounds[document + 1] - length + 1, stop)
        if first < end:
            found = _document(text, first, end, length, powers, selection, base, keys, others, places, found)
    return found


@njit(cache=True, nogil=True)
def _document(text, first, end, length, powers, selection, base, keys, others, places, found):
    """Windows that begin in first .. end - 1, all in one document; `found` were found before."""
    one, other, whole = _U64(0), _U64(0), len(places) > 0
    for i in range(first, first + length):
        one = multiply_add(one, _BASE, _U64(text[i]))
        if whole:
            other = multiply_add(other, _OTHER, _U64(text[i]))
    for start in range(first, end):
        key = _mixed(least(one))
        cell, shard = prefix(key, selection.cell_bits), prefix(key, selection.shard_bits)
        keys[found] = key
        if whole:
            others[found], places[found] = least(other), base + _U64(start)
        found += selection.low[shard] <= cell < selection.high[shard]
        if start + 1 < end:
            come, leave = _U64(text[start + length]), _U64(text[start])
            one = multiply_add(one, _BASE, multiply_add(leave, powers[0], come))
            if whole:
                other = multiply_add(other, _OTHER, multiply_add(leave, powers[1], come))
    return found


@njit(cache=True, nogil=True, inline="always")
def _mixed(key):
    """MurmurHash3's finaliser: every bit of the result depends on every bit."""
    key = (key ^ (key >> _33)) * _M1
    key = (key ^ (key >> _33)) * _M2
    return key ^ (key >> _33)
