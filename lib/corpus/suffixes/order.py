"""Checks that an array is a suffix array of a text: for files without checksums, made elsewhere."""

import numpy as np
from numba import njit


def first_out_of_order(tokens: np.ndarray, positions: np.ndarray, depth: int, start: int, stop: int) -> int | None:
    """The first entry of start .. stop - 1 that is not a position, or does not belong after the entry before it.

    tokens: 1-D; positions: as many integers. Entries rise by (up to `depth` tokens from there, position), the end of
    the text before any token. Where no entry is out of order, all differ, so that every position stands there once.
    """
    wrong = _first_out_of_order(np.asarray(tokens), np.asarray(positions), depth, start, stop)
    return None if wrong == stop else int(wrong)


@njit(cache=True, nogil=True)
def _first_out_of_order(tokens, positions, depth, start, stop):
    for entry in range(start, stop):
        here = np.int64(positions[entry])
        if not 0 <= here < len(tokens):
            return entry
        if entry == 0:
            continue
        before = np.int64(positions[entry - 1])
        if not 0 <= before < len(tokens) or not _before(tokens, before, here, depth):
            return entry
    return stop


@njit(cache=True, nogil=True)
def _before(tokens, left, right, depth):
    for i in range(min(depth, len(tokens) - max(left, right))):
        if tokens[left + i] != tokens[right + i]:
            return tokens[left + i] < tokens[right + i]
    if len(tokens) - max(left, right) < depth:  # one of them ends first, the later one
        return left > right
    return left < right
