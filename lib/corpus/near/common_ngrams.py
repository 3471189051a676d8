"""The longest n-gram that two token sequences have in common, wherever it stands in each.

A near-duplicate survives n-gram deduplication against its target iff its longest common n-gram is shorter than n.
"""

import numpy as np
from numba import njit

from lib.corpus.near import edit_distance
from lib.corpus.near.edit_distance import WORD

TABLE_IDS = 1 << 22  # up to here a table over ids is made, 16 bytes each for 100 tokens; beyond, ids are numbered
HALVINGS = 16  # of a length below 2^16


def longest_common(targets: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Length of the longest contiguous run of tokens that rows of `targets` and `windows` share: uint16 (n,).

    Both (n, length), unsigned integers, length below 2^16. Rows of equal targets should follow each other.
    """
    if max(targets.max(initial=0), windows.max(initial=0)) >= TABLE_IDS:
        _, ids = np.unique(np.concatenate([targets, windows]), return_inverse=True)
        targets, windows = np.split(ids.reshape(-1, windows.shape[1]).astype(np.uint32), 2)
    n_ids = 1 + int(max(targets.max(initial=0), windows.max(initial=0)))
    bits = np.zeros((n_ids, edit_distance.n_words(windows.shape[1])), np.uint64)
    longest = np.zeros(len(targets), np.uint16)
    _longest(targets, windows, bits, longest)
    return longest


@njit(cache=True, nogil=True)
def _longest(targets, windows, bits, longest):
    """Runs of 1, 2, 4, ... tokens as long as there are some, then of what lies between, the larger halves first.

    Level k holds for every token of the window at which tokens of the target runs of 2^k end that end there as well;
    its first row of words is zero.
    """
    length, words = windows.shape[1], bits.shape[1]
    levels = np.zeros((HALVINGS, words + 1, length), np.uint64)
    found, tried = np.zeros((words + 1, length), np.uint64), np.zeros((words + 1, length), np.uint64)
    for row in range(len(targets)):
        edit_distance.set_pattern(bits, targets[row])
        top, run = 0, int(_matches(bits, windows[row], levels[0]))
        edit_distance.clear_pattern(bits, targets[row])
        while run and 2 << top <= length and _joined(levels[top], levels[top], 1 << top, levels[top + 1]):
            top, run = top + 1, 2 * run
        found[:] = levels[top]
        for level in range(top - 1, -1, -1):
            if run + (1 << level) <= length and _joined(found, levels[level], 1 << level, tried):
                found, tried, run = tried, found, run + (1 << level)
        longest[row] = run


@njit(cache=True, nogil=True)
def _matches(bits, window, level):
    some = np.uint64(0)
    for word in range(bits.shape[1]):
        ends = level[word + 1]
        for j in range(len(window)):
            ends[j] = bits[window[j], word]
            some |= ends[j]
    return some != 0


@njit(cache=True, nogil=True)
def _joined(before, after, size, joined):
    """Where runs of `after`, `size` tokens long, follow at once on runs of `before`. Returns whether any does."""
    skipped, shift, some = size // WORD, np.uint64(size % WORD), np.uint64(0)
    back = np.uint64(WORD - 1) - shift
    joined[1:, :size] = 0
    for word in range(1, len(joined)):
        ends, high = joined[word, size:], before[max(word - skipped, 0)]
        low, follow = before[max(word - skipped - 1, 0)], after[word, size:]
        for j in range(len(ends)):
            ends[j] = (high[j] << shift | low[j] >> back >> np.uint64(1)) & follow[j]
            some |= ends[j]
    return some != 0


def least_possible(distances: np.ndarray, length: int) -> np.ndarray:
    """The length that a common run has at least, at this Hamming or Levenshtein distance: int64, as `distances`.

    d edits leave at least length - d tokens of the target, in at most d + 1 pieces (the pigeonhole principle).
    """
    distances = np.asarray(distances, np.int64)
    return -(-np.maximum(length - distances, 0) // (distances + 1))
