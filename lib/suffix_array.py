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
STRIPES = 4  # stretches of ranges a rank has, so that text that is slow to sort is shared by several ranks
TABLE_BITS = 16
LEVELS = 4  # keys of every splitter at hand: where first keys are equal, these are compared before any text
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
        levels = [suffix_keys(text, splitters, depth, level * text.per_word) for level in range(LEVELS)]
        self.keys = np.concatenate(levels)  # all splitters' first ones, then all splitters' second ones ...
        self.shift, self.table = _lookup_table(levels[0])

    def __len__(self) -> int:
        return len(self.splitters) + 1

    def of(self, positions: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The range (int64) of the suffix at each of `positions` (int64), whose first keys are `keys`."""
        found = np.empty(len(keys), np.int64)
        _find(*self.text, self.depth, positions, keys, self.splitters, self.keys, self.table, self.shift, found)
        return found

    def count(self, start: int, stop: int) -> np.ndarray:
        """How many suffixes that begin in tokens[start:stop] belong to each range (int64)."""
        counts = np.zeros(len(self), np.int64)
        for low in range(start, stop, STEP):
            positions = np.arange(low, min(low + STEP, stop))
            counts += np.bincount(
                self.of(positions, suffix_keys(self.text, positions, self.depth)), minlength=len(self)
            )
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
        for some, own in self._candidates(wanted):
            if not _append(self.of(some, own), some, own, wanted, fill, limits, positions, keys):
                break
        if (fill != limits).any():
            raise ValueError("the text is not the one whose suffixes were counted")
        return np.split(positions, ends[:-1]), np.split(keys, ends[:-1])

    def _candidates(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions (int64) and keys of the suffixes that may be in `wanted` ranges (bool), piece by piece."""
        lowest, spans = self._key_intervals(wanted)
        positions, keys = np.empty(STEP, np.int64), np.empty(STEP, _U64)
        for start in range(0, self.text.n_tokens, STEP):
            stop = min(start + STEP, self.text.n_tokens)
            size = _choose(*self.text, self.depth, start, stop, lowest, spans, positions, keys)
            yield positions[:size], keys[:size]

    def _key_intervals(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """STRIPES intervals or fewer that hold the keys of all wanted ranges: the lowest keys, highest less lowest."""
        firsts = np.flatnonzero(wanted & ~np.append(False, wanted[:-1]))
        lasts = np.flatnonzero(wanted & ~np.append(wanted[1:], False))
        if len(firsts) > STRIPES:  # others than this rank's were done before: the widest gaps stay gaps
            gaps = np.sort(np.argsort(lasts[:-1] - firsts[1:], kind="stable")[: STRIPES - 1])
            firsts, lasts = firsts[np.append(0, gaps + 1)], lasts[np.append(gaps, len(lasts) - 1)]
        bounds = np.concatenate([np.zeros(1, _U64), self.keys[: len(self) - 1], ~np.zeros(1, _U64)])
        return bounds[firsts], bounds[lasts + 1] - bounds[firsts]


def _lookup_table(keys: np.ndarray) -> tuple[np.uint64, np.ndarray]:
    """By the leading bits of a key, after a shift: how many splitters' keys have lower ones (int64)."""
    highest = int(keys[-1]) if len(keys) else 0
    shift = _U64(max(0, highest.bit_length() - TABLE_BITS))
    prefixes = np.arange((1 << TABLE_BITS) + 2, dtype=_U64)  # one more than there are: keys beyond every splitter's
    return shift, np.searchsorted(keys >> shift, prefixes).astype(np.int32)


@njit(cache=True, nogil=True)
def _lower(keys, low, high, own):
    """Where in keys[low:high], rising, those begin that are not lower than `own`."""
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < own:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _higher(keys, low, high, own):
    """Where in keys[low:high], rising, those begin that are higher than `own`."""
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] <= own:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _among_equals(words, last, n_tokens, per_word, depth, position, splitters, keys, low, high):
    """How many splitters sort before or at the suffix at `position`, whose first key is that of splitter `low`.

    Those from `high` on sort after it, as those before `low` sort before it.
    """
    level, per_level = 1, len(splitters)
    high = _higher(keys, low, high, keys[low])
    while low < high and level < LEVELS:
        own = key(words, last, n_tokens, per_word, position, level * per_word, depth)
        ahead = level * per_level
        end = ahead + high
        low = _lower(keys, ahead + low, end, own) - ahead
        high = _higher(keys, ahead + low, end, own) - ahead
        level += 1
    while low < high:
        middle = (low + high) >> 1
        if less(words, last, n_tokens, per_word, position, splitters[middle], level * per_word, depth):
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True, nogil=True)
def _range_of(words, last, n_tokens, per_word, depth, position, own, splitters, keys, table, shift):
    """How many splitters sort before or at the suffix at `position`, whose first key is `own`."""
    prefix = min(own >> shift, _U64(len(table) - 2))
    high = np.int64(table[prefix + _U64(1)])
    low = _lower(keys, np.int64(table[prefix]), high, own)
    if low < high and keys[low] == own:
        low = _among_equals(words, last, n_tokens, per_word, depth, position, splitters, keys, low, high)
    return low


@njit(cache=True, nogil=True)
def _find(words, last, n_tokens, per_word, depth, positions, own, splitters, keys, table, shift, found):
    for i in range(len(found)):
        found[i] = _range_of(
            words, last, n_tokens, per_word, depth, positions[i], own[i], splitters, keys, table, shift
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _choose(words, last, n_tokens, per_word, depth, start, stop, lowest, spans, positions, keys):
    """The suffixes that begin in tokens[start:stop] and have a key in one of the intervals. Returns how many."""
    size = 0
    for position in range(start, stop):
        own, inside = key(words, last, n_tokens, per_word, position, 0, depth), False
        for i in range(len(lowest)):
            inside |= own - lowest[i] <= spans[i]
        positions[size], keys[size] = position, own  # no branch: which suffixes are wanted is hard to predict
        size += inside
    return size


@njit(cache=True, nogil=True)
def _append(found, some, own_keys, wanted, fill, limits, positions, keys):
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
