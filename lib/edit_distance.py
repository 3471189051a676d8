"""Distances between two token sequences of one length: Hamming, and Levenshtein by bit vectors.

Kernels of numba, called pair by pair from the scan. Ids are dense (small integers), so that a table over ids replaces
a hash: `pattern_bits[id]` says at which positions of the pattern the id stands, 64 positions a word.
"""

import numpy as np
from numba import njit

WORD = 64
STRIDE = 32  # tokens between two looks at the limit: a vector's worth


def n_words(length: int) -> int:
    """How many 64-bit words hold one bit for each of `length` positions."""
    return -(-length // WORD)


@njit(cache=True, nogil=True)
def set_pattern(pattern_bits, pattern):
    """Enter a pattern (ids, 1-D) in pattern_bits (uint64, ids x words), which has to be all zero before."""
    for i in range(len(pattern)):
        pattern_bits[pattern[i], i // 64] |= np.uint64(1) << np.uint64(i % 64)


@njit(cache=True, nogil=True)
def clear_pattern(pattern_bits, pattern):
    """Undo `set_pattern`, at the cost of the pattern and not of the table."""
    for i in range(len(pattern)):
        pattern_bits[pattern[i]] = 0


@njit(cache=True, nogil=True)
def hamming(tokens, at, pattern, limit):
    """Mismatches between tokens[at:at + len(pattern)] and pattern; some number above `limit` once they exceed it."""
    distance = np.int64(0)
    for low in range(0, len(pattern), STRIDE):
        for i in range(low, min(low + STRIDE, len(pattern))):
            distance += tokens[at + i] != pattern[i]
        if distance > limit:
            break
    return distance


@njit(cache=True, nogil=True)
def levenshtein(tokens, at, length, pattern_bits, up, down):
    """Levenshtein distance of tokens[at:at + length] and the pattern of the same length in pattern_bits.

    Myers (1999) in the form of Hyyro (2003): a column of the distance matrix is held as its vertical differences,
    +1 in `up` and -1 in `down` (uint64 scratch, one word per 64 positions), and a column costs some 20 operations a
    word. Words go from the top down; the horizontal difference at a word's last row is carried into the next.
    """
    last, one = len(up) - 1, np.uint64(1)
    bottom, top = np.uint64((length - 1) % 64), np.uint64(63)
    up[:] = ~np.uint64(0)
    down[:] = 0
    distance = np.int64(length)
    for j in range(length):
        more, less = one, np.uint64(0)  # row 0 rises by one a column
        for word in range(last + 1):
            equal, plus, minus = pattern_bits[tokens[at + j], word], up[word], down[word]
            vertical = equal | minus
            equal |= less
            horizontal = (((equal & plus) + plus) ^ plus) | equal
            rise, fall = minus | ~(horizontal | plus), plus & horizontal
            if word == last:
                distance += np.int64((rise >> bottom) & one) - np.int64((fall >> bottom) & one)
            next_more, next_less = rise >> top, fall >> top
            rise, fall = (rise << one) | more, (fall << one) | less
            up[word], down[word] = fall | ~(vertical | rise), rise & vertical
            more, less = next_more, next_less
    return distance
