"""Cuts the suffixes of a text of any size into ranges: a sample sort without merging.

Sorted sample suffixes (splitters) cut the order of all suffixes into ranges. Counting the suffixes of every range says
where in the array each range stands, so any process can sort and write any ranges, in any order.
"""

import heapq

import numpy as np
from numba import njit

from lib.corpus.suffixes.sorting import Text, key, less, sort_suffixes, suffix_keys

OVERSAMPLING = 32  # samples per range: the largest range is then about 1.6 times the mean
MAX_RANGES = 8192  # beyond, ranges grow: a sample of 262,144 suffixes is sorted by every rank in a tenth of a second
RANGE_DTYPE = np.dtype("<u2")  # of a range's number
TABLE_BITS = 16
_U64 = np.uint64


def position_dtype(n_tokens: int) -> np.dtype:
    """uint32 while it holds every position of a text of `n_tokens`, else uint64."""
    return np.dtype("<u4" if n_tokens <= 1 << 32 else "<u8")


def choose_splitters(text: Text, depth: int, range_tokens: int) -> np.ndarray:
    """Positions (int64) of the suffixes that begin all ranges but the first, in their order.

    One suffix is drawn from every stretch of the text, always the same one; every 32nd in sorted order splits. A long
    run of one token is split like anything else, since no two suffixes are equal once position counts.
    """
    n_tokens = text.n_tokens
    n_ranges = min(-(-n_tokens // range_tokens), MAX_RANGES)
    n_samples = min(n_ranges * OVERSAMPLING, n_tokens)
    if n_ranges < 2:
        return np.zeros(0, np.int64)
    bounds = np.arange(n_samples + 1, dtype=object) * n_tokens // n_samples  # Python ints: beyond 2^63 on the way
    bounds = bounds.astype(np.int64)
    sample = np.random.default_rng(0).integers(bounds[:-1], bounds[1:]).astype(position_dtype(n_tokens))
    sort_suffixes(text, sample, suffix_keys(text, sample, depth), depth)
    return sample[np.arange(1, n_ranges) * n_samples // n_ranges].astype(np.int64)


def share(sizes: np.ndarray, ranks: int) -> np.ndarray:
    """The rank (int64) that has each of the ranges of these sizes (int64): the largest range first, each to the rank
    with the fewest suffixes so far."""
    owners = np.zeros(len(sizes), np.int64)
    loads = [(0, rank) for rank in range(ranks)]
    for index in np.argsort(-sizes, kind="stable").tolist():
        load, owners[index] = heapq.heappop(loads)
        heapq.heappush(loads, (load + int(sizes[index]), int(owners[index])))
    return owners


class Ranges:
    """The ranges that `splitters` (int64, in the order of their suffixes) cut, ready to find any suffix's range."""

    def __init__(self, text: Text, splitters: np.ndarray, depth: int) -> None:
        self.text, self.splitters, self.depth = text, splitters, depth
        self.keys = suffix_keys(text, splitters, depth)
        self.shift, self.table = _lookup_table(self.keys)

    def __len__(self) -> int:
        return len(self.splitters) + 1

    def find(self, start: int, stop: int) -> np.ndarray:
        """The range (uint16) of every suffix that begins in tokens[start:stop]."""
        found = np.empty(stop - start, RANGE_DTYPE)
        _find(*self.text, self.depth, self.splitters, self.keys, self.table, self.shift, start, found)
        return found


def _lookup_table(keys: np.ndarray) -> tuple[np.uint64, np.ndarray]:
    """For every value of the leading bits of a key: how many splitters' keys have lower ones (int64)."""
    highest = int(keys[-1]) if len(keys) else 0
    shift = _U64(max(0, highest.bit_length() - TABLE_BITS))
    table = np.searchsorted(keys >> shift, np.arange((1 << TABLE_BITS) + 2, dtype=_U64)).astype(np.int32)
    return shift, table  # one entry more than there are prefixes, for keys beyond every splitter


@njit(cache=True, nogil=True)
def _find(words, last, n_tokens, per_word, depth, splitters, keys, table, shift, start, found):
    """How many splitters sort before or at each of the suffixes from `start` on."""
    for i in range(len(found)):
        position = start + i
        own = key(words, last, n_tokens, per_word, position, 0, depth)
        prefix = min(own >> shift, _U64(len(table) - 2))
        low, high = table[prefix], table[prefix + 1]
        while low < high:
            middle = (low + high) >> 1
            before = own < keys[middle]
            if own == keys[middle]:
                before = less(words, last, n_tokens, per_word, position, splitters[middle], 0, depth)
            if before:
                high = middle
            else:
                low = middle + 1
        found[i] = low
