"""Groups of equal windows, read off a suffix array, in which they are neighbours."""

from typing import NamedTuple

import numpy as np
from numba import njit

from lib.corpus.suffixes.sorting import Text, key


class GroupedWindows(NamedTuple):
    """positions: the members of group after group, rising inside each; counts: members of each group (int64)."""

    positions: np.ndarray
    counts: np.ndarray


def same_as_previous(text: Text, positions: np.ndarray, length: int) -> np.ndarray:
    """Whether the window of `length` tokens at each position but the first equals the one before it in the array.

    positions: entries of a suffix array, all below text.n_tokens; bool (len(positions) - 1,). Windows that the end of
    the text cuts equal none.
    """
    same = np.zeros(max(0, len(positions) - 1), np.bool_)
    _same(*text, positions, length, same)
    return same


def inside_documents(positions: np.ndarray, offsets: np.ndarray, length: int) -> np.ndarray:
    """Whether the window at each position ends in the document in which it begins.

    offsets: int64 (documents + 1,), where documents begin and the last one ends; bool (len(positions),).
    """
    positions = positions.astype(np.int64)
    return positions + length <= offsets[np.searchsorted(offsets, positions, "right").clip(max=len(offsets) - 1)]


def groups(positions: np.ndarray, same: np.ndarray, offsets: np.ndarray, length: int) -> GroupedWindows:
    """The groups of two or more windows inside single documents, in the order of the suffix array.

    positions: entries of a suffix array that begin and end with a class of equal windows; same: `same_as_previous` of
    them; offsets: as in `inside_documents`.
    """
    if not len(positions):
        return GroupedWindows(positions, np.zeros(0, np.int64))
    classes = np.concatenate([[0], np.cumsum(~same)])
    repeated = np.flatnonzero(np.append(False, same) | np.append(same, False))
    repeated = repeated[inside_documents(positions[repeated], offsets, length)]
    members, classes = positions[repeated], classes[repeated]
    _, place, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    kept = sizes[place] > 1 if len(sizes) else np.zeros(0, bool)
    members, classes = members[kept], classes[kept]
    return GroupedWindows(members[np.lexsort((members, classes))], sizes[sizes > 1])


@njit(cache=True, nogil=True)
def _same(words, last, n_tokens, per_word, positions, length, same):
    rest = length - per_word  # where the last word of a window begins, which may overlap the one before
    for i in range(len(same)):
        left, right = np.int64(positions[i]), np.int64(positions[i + 1])
        if max(left, right) + length > n_tokens:
            continue
        if rest < 0:
            left_key = key(words, last, n_tokens, per_word, left, 0, length)
            same[i] = left_key == key(words, last, n_tokens, per_word, right, 0, length)
            continue
        taken = 0
        while taken < rest and words[left + taken] == words[right + taken]:
            taken += per_word
        same[i] = taken >= rest and words[left + rest] == words[right + rest]
