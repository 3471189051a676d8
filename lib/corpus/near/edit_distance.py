"""Distances between token sequences of one length: Hamming, and Levenshtein by bit vectors.

Kernels of numba, called pair by pair from the scan. Ids are dense (small integers), so that a table over ids replaces
a hash: `pattern_bits[id]` says at which positions of the pattern the id stands, 64 positions a word.
"""

import numpy as np
from numba import njit

from lib.kernels import lanes

WORD = 64
GROUP = lanes.lanes(np.uint32)  # tokens compared at once
PAD = np.uint32(0xFFFFFFFF)
MARGIN = GROUP + lanes.WINDOWS  # tokens that must follow a window


def n_words(length: int) -> int:
    """How many 64-bit words hold one bit for each of `length` positions."""
    return -(-length // WORD)


def pad(patterns: np.ndarray) -> np.ndarray:
    """Patterns (uint32, n x length) with PAD at the end, up to a multiple of GROUP."""
    return np.pad(patterns, ((0, 0), (0, -patterns.shape[1] % GROUP)), constant_values=PAD)


@njit(cache=True, nogil=True)
def set_pattern(pattern_bits, pattern):
    """Enter a pattern (ids, 1-D) in pattern_bits (uint64, ids x words), which has to be all zero before."""
    for i in range(len(pattern)):
        pattern_bits[pattern[i], i // WORD] |= np.uint64(1) << np.uint64(i % WORD)


@njit(cache=True, nogil=True)
def clear_pattern(pattern_bits, pattern):
    """Undo `set_pattern`, at the cost of the pattern and not of the table."""
    for i in range(len(pattern)):
        pattern_bits[pattern[i]] = 0


@njit(cache=True, nogil=True)
def hamming(tokens, at, padded, length):
    """Mismatches between tokens[at:at + length] and padded[:length]: uint32, both going on to a multiple of GROUP.

    `padded` must hold PAD beyond `length`, which is not the id of any token.
    """
    distance = length - len(padded)  # the padding differs
    for first in range(0, len(padded), GROUP):
        distance += lanes.differing(tokens, at + first, padded, first)
    return distance


@njit(cache=True, nogil=True)
def levenshtein(tokens, at, length, pattern_bits, equal, more, less, distances):
    """Levenshtein distances of the windows that begin at at, at + 1, ... to the pattern of the same length.

    distances: uint64, lanes.WINDOWS of them; tokens has to go on for length + WINDOWS - 1 from `at`. Scratch, uint64:
    equal of that size, more and less of length * WINDOWS.
    Myers (1999) in the form of Hyyro (2003): a column of the distance matrix is held as its vertical differences, one
    bit per row, 64 rows a word. Words go from the top down, each through all columns; the horizontal differences at
    its last row are carried into the next.
    """
    more[:] = 1  # row 0 rises by one a column
    less[:] = 0
    words = pattern_bits.shape[1]
    for word in range(words):
        for i in range(length + lanes.WINDOWS - 1):
            equal[i] = pattern_bits[tokens[at + i], word]
        bottom = np.uint64((length - 1) % WORD if word == words - 1 else WORD - 1)
        lanes.edit_columns(equal, 0, more, less, length, bottom, distances)
    distances += np.uint64(length)


@njit(cache=True, nogil=True)
def search(tokens, start, stop, length, pattern_bits, steps, least):
    """least[i]: the distance of the pattern of `length` tokens to the piece of tokens[start:] nearest to it that ends
    with token start + i, for every token before `stop`: int64. steps: uint8, as many; scratch.

    It bounds the distance of the window that ends there, which is one of these pieces, by one column instead of all of
    them. Myers's search (1999) in the form of Hyyro (2003): row 0 does not rise, since a piece may begin anywhere.
    """
    n, words = stop - start, pattern_bits.shape[1]
    steps[:n] = 0
    for word in range(words):
        bottom = np.uint64((length - 1) % WORD if word == words - 1 else WORD - 1)
        up, down = ~np.uint64(0), np.uint64(0)
        for i in range(n):
            rise, fall = np.uint64(steps[i] & 1), np.uint64(steps[i] >> 1)
            equal = pattern_bits[tokens[start + i], word]
            vertical = equal | down
            equal |= fall
            horizontal = (((equal & up) + up) ^ up) | equal
            more, less = down | ~(horizontal | up), up & horizontal
            steps[i] = (more >> bottom & np.uint64(1)) | (less >> bottom & np.uint64(1)) << np.uint64(1)
            more, less = more << np.uint64(1) | rise, less << np.uint64(1) | fall
            up, down = less | ~(vertical | more), more & vertical
    score = np.int64(length)
    for i in range(n):
        score += np.int64(steps[i] & 1) - np.int64(steps[i] >> 1)
        least[i] = score
