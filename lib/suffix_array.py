"""Suffix arrays of texts of any size, range by range: a sample sort without exchange or merging.

Sorted sample suffixes (splitters) cut the order of all suffixes into ranges. Counting the suffixes of every range says
where in the array each range stands, so any process can collect, sort and write any ranges, in any order.
"""

from collections.abc import Iterator

import numpy as np
from numba import njit

from lib.suffix_sorting import Text, as_text, key, less, sort_suffixes, suffix_keys

OVERSAMPLING = 32  # samples per range: the largest range is then about 1.6 times the mean
MAX_RANGES = 8192  # beyond, ranges grow: a sample of 262,144 suffixes is sorted by every rank in a tenth of a second
TABLE_BITS = 16
STRIPES = 4  # stretches of ranges a rank has, so that text that is slow to sort is shared by several ranks
STEP = 1 << 16  # suffixes classified at a time: what they take stays in the cache
_U64 = np.uint64


def position_dtype(n_tokens: int) -> np.dtype:
    """uint32 while it holds every position of a text of `n_tokens`, else uint64."""
    return np.dtype("<u4" if n_tokens <= 1 << 32 else "<u8")


def suffix_array(tokens: np.ndarray, depth: int) -> np.ndarray:
    """All positions of `tokens` (1-D uint16 or uint32), sorted by the up to `depth` tokens that start there.

    The end of the text sorts before any token; of equal suffixes the lower position comes first. In one go, in memory.
    """
    text = as_text(tokens)
    positions = np.arange(len(tokens), dtype=position_dtype(len(tokens)))
    sort_suffixes(text, positions, suffix_keys(text, positions, depth), depth)
    return positions


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


def share(sizes: np.ndarray, rank: int, ranks: int) -> np.ndarray:
    """Which ranges (bool) of these sizes (int64) `rank` has: STRIPES stretches of neighbours, about as much as others.

    Neighbours, because a few intervals of keys then tell a rank's suffixes from those of all others.
    """
    n_stripes = STRIPES * ranks
    middles = np.cumsum(sizes) - sizes // 2
    stripes = middles.astype(np.float64) * (n_stripes / max(1, int(sizes.sum())))
    rounds, owners = np.divmod(np.minimum(stripes.astype(np.int64), n_stripes - 1), ranks)
    return np.where(rounds % 2, ranks - 1 - owners, owners) == rank  # there and back: fewer borders


class Ranges:
    """The ranges that `splitters` (int64, in the order of their suffixes) cut, ready to find any suffix's range."""

    def __init__(self, text: Text, splitters: np.ndarray, depth: int) -> None:
        self.text, self.splitters, self.depth = text, splitters, depth
        self.keys = suffix_keys(text, splitters, depth)
        self.shift, self.table = _lookup_table(self.keys)

    def __len__(self) -> int:
        return len(self.splitters) + 1

    def of(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The range (int32) and the key (uint64) of the suffix at each of `positions` (int64)."""
        keys, found = np.empty(len(positions), _U64), np.empty(len(positions), np.int32)
        _find(*self.text, self.depth, self.splitters, self.keys, self.table, self.shift, positions, keys, found)
        return found, keys

    def count(self, start: int, stop: int) -> np.ndarray:
        """How many suffixes that begin in tokens[start:stop] belong to each range (int64)."""
        counts = np.zeros(len(self), np.int64)
        for low in range(start, stop, STEP):
            counts += np.bincount(self.of(np.arange(low, min(low + STEP, stop)))[0], minlength=len(self))
        return counts

    def collect(self, chosen: np.ndarray, sizes: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Positions (rising) and keys of all suffixes of the `chosen` ranges, which have these sizes, in one scan.

        Takes 16 bytes a suffix (12 while positions are 32 bits). Raises ValueError when the text holds other numbers
        of suffixes than `sizes` says: it changed since they were counted.
        """
        ends = np.cumsum(sizes, dtype=np.int64)
        fill, limits = np.zeros((2, len(self)), np.int64)
        fill[chosen], limits[chosen] = ends - sizes, ends
        wanted = np.zeros(len(self), np.bool_)
        wanted[chosen] = True
        positions = np.empty(int(sizes.sum()), position_dtype(self.text.n_tokens))
        keys = np.empty(len(positions), _U64)
        for some in self._candidates(wanted):
            if not _append(some, *self.of(some), wanted, fill, limits, positions, keys):
                break
        if (fill != limits).any():
            raise ValueError("the text is not the one whose suffixes were counted")
        return np.split(positions, ends[:-1]), np.split(keys, ends[:-1])

    def _candidates(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Positions (int64) of the suffixes that may be in `wanted` ranges (bool), piece by piece."""
        intervals, everything = self._intervals(wanted), wanted.all()
        for start in range(0, self.text.n_tokens, STEP):
            positions = np.arange(start, min(start + STEP, self.text.n_tokens))
            if not everything:
                positions = positions[: _choose(*self.text, self.depth, *intervals, positions)]
            yield positions

    def _intervals(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """STRIPES intervals or fewer that hold all wanted ranges: the lowest keys, highest less lowest, borders.

        borders: (n, 2), the splitter that begins an interval and the one that ends it; -1 where the order does.
        """
        firsts = np.flatnonzero(wanted & ~np.append(False, wanted[:-1]))
        ends = np.flatnonzero(wanted & ~np.append(wanted[1:], False)) + 1
        if len(firsts) > STRIPES:  # others than this rank's were done before: the widest gaps stay gaps
            gaps = np.sort(np.argsort(ends[:-1] - firsts[1:], kind="stable")[: STRIPES - 1])
            firsts, ends = firsts[np.append(0, gaps + 1)], ends[np.append(gaps, len(ends) - 1)]
        keys = np.concatenate([np.zeros(1, _U64), self.keys, ~np.zeros(1, _U64)])
        splitters = np.concatenate([[-1], self.splitters, [-1]])
        return keys[firsts], keys[ends] - keys[firsts], np.stack([splitters[firsts], splitters[ends]], axis=1)


def _lookup_table(keys: np.ndarray) -> tuple[np.uint64, np.ndarray]:
    """For every value of the leading bits of a key: how many splitters' keys have lower ones (int64)."""
    highest = int(keys[-1]) if len(keys) else 0
    shift = _U64(max(0, highest.bit_length() - TABLE_BITS))
    table = np.searchsorted(keys >> shift, np.arange((1 << TABLE_BITS) + 2, dtype=_U64)).astype(np.int32)
    return shift, table  # one entry more than there are prefixes, for keys beyond every splitter


@njit(cache=True, nogil=True)
def _find(words, last, n_tokens, per_word, depth, splitters, keys, table, shift, positions, found_keys, found):
    """The key of the suffix at each of `positions`, and how many splitters sort before or at it."""
    for i in range(len(found)):
        own = key(words, last, n_tokens, per_word, positions[i], 0, depth)
        prefix = min(own >> shift, _U64(len(table) - 2))
        low, high = table[prefix], table[prefix + 1]
        while low < high:
            middle = (low + high) >> 1
            before = own < keys[middle]
            if own == keys[middle]:
                before = less(words, last, n_tokens, per_word, positions[i], splitters[middle], 0, depth)
            if before:
                high = middle
            else:
                low = middle + 1
        found_keys[i], found[i] = own, low


@njit(cache=True, nogil=True)
def _choose(words, last, n_tokens, per_word, depth, lowest, spans, borders, positions):
    """Move those of `positions` whose suffixes are in one of the intervals to the front. Returns how many."""
    size = 0
    for i in range(len(positions)):
        position, inside = positions[i], False
        own = key(words, last, n_tokens, per_word, position, 0, depth)
        for k in range(len(lowest)):
            above = own - lowest[k]
            within = above <= spans[k]
            # Much text may have a border's key: one comparison here saves the search among all splitters with that key.
            if above == 0 and borders[k, 0] >= 0:
                within &= not less(words, last, n_tokens, per_word, position, borders[k, 0], 0, depth)
            if above == spans[k] and borders[k, 1] >= 0:
                within &= less(words, last, n_tokens, per_word, position, borders[k, 1], 0, depth)
            inside |= within
        positions[size] = position  # no branch: which suffixes are wanted is hard to predict
        size += inside
    return size


@njit(cache=True, nogil=True)
def _append(some, found, own_keys, wanted, fill, limits, positions, keys):
    """Append the suffixes of wanted ranges to their ranges. False when one has more than it should."""
    for i in range(len(found)):
        index = found[i]
        if wanted[index]:
            place = fill[index]
            if place == limits[index]:
                return False
            positions[place], keys[place] = some[i], own_keys[i]
            fill[index] = place + 1
    return True
