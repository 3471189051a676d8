"""The longest exact runs that a query shares with a corpus, how often each occurs, and where.

For every place of the query, the longest run that begins there and stands somewhere inside one document (matching
statistics, Chang and Lawler 1994) is found by binary search in the suffix array of each chunk; runs inside a longer one
are left out. It is what OLMoTrace shows (Liu et al. 2025, arXiv 2504.07096), and what infini-gram counts (Liu et al.
2024, arXiv 2401.17377). A run never crosses the border of a document, in counts as in places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lib.base.errors import TesseraError
from lib.corpus.exact.groups import inside_documents
from lib.corpus.suffixes.sorting import as_text, key
from lib.corpus.trace.index import STEP, Index

MOST_COUNTED = 1 << 22  # occurrences that are looked at one by one
AT_ONCE = 1 << 20  # of them in memory
NO_DEPTH = 1 << 62  # tokens that `key` may take
LARGEST = (1 << 62) - 1  # position: what a damaged array holds beyond it would become negative, and be read from
_U64 = np.uint64
ONES = _U64(0xFFFFFFFFFFFFFFFF)


class Runs(NamedTuple):
    """Runs of a query: where each begins in it, and how many tokens it has; int64 (n,), starts and ends rising."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]


@dataclass(frozen=True)
class Occurrences:
    """How often a run stands in a chunk, and the lowest positions, int64, of the first tokens.

    exact: whether `count` is exact. It is an upper bound where there are more than MOST_COUNTED: windows across the
    border of documents are then in it, and the positions are the lowest of the first MOST_COUNTED entries.
    """

    count: int
    positions: NDArray[np.int64]
    exact: bool


def longest(index: Index, query: np.ndarray, min_run: int) -> NDArray[np.int64]:
    """For each token of the query, how long a run begins there that stands inside one document of the chunk; 0 where it
    is shorter than `min_run`.

    query: ids (n,). Takes a binary search for each token; where all near the
    best match lie across borders of documents, one step more for each of these. Raises TesseraError for an id that the
    chunk cannot have.
    """
    found = np.zeros(len(query), np.int64)
    if len(query) >= min_run and len(index.positions):
        _longest(*index.text, *_spelled(index, query), index.positions, index.depth, index.keys, index.offsets,
                 max(min_run, 1), found)  # fmt: skip
    return found


def maximal(found: NDArray[np.int64]) -> Runs:
    """The runs that lie inside no longer one. found: (n,), as `longest` gives it, or the maximum over chunks."""
    before = np.concatenate([[0], found[:-1]])
    start = np.flatnonzero((found > 0) & (before <= found))
    return Runs(start, found[start])


def of_query(indices: Sequence[Index], query: np.ndarray, min_run: int) -> Runs:
    """The maximal runs of at least `min_run` tokens over all chunks."""
    found = [longest(index, query, min_run) for index in indices]
    return maximal(np.maximum.reduce(found, initial=0) if found else np.zeros(len(query), np.int64))


def occurrences(index: Index, run: np.ndarray, most: int) -> Occurrences:
    """How often the tokens `run` (n,), n >= 1, stand inside one document of the chunk, and the `most` lowest places."""
    low, high = interval(index, run)
    exact, total = high - low <= MOST_COUNTED, 0
    lowest: NDArray[np.int64] = np.zeros(0, np.int64)
    for start in range(low, high if exact else low + MOST_COUNTED, AT_ONCE):
        entries = index.positions[start : min(start + AT_ONCE, high)].astype(np.int64)
        entries = entries[inside_documents(entries, index.offsets, len(run))]
        if len(run) > index.depth:  # of these the array knows only the first tokens
            entries = entries[_same(*index.text, *_spelled(index, run), entries)]
        total, lowest = total + len(entries), np.sort(np.concatenate([lowest, entries]))[:most]
    return Occurrences(total if exact else high - low, lowest, exact)


def interval(index: Index, run: np.ndarray) -> tuple[int, int]:
    """The entries of the array whose suffixes begin with the tokens `run`, or with the first `depth` of them: half
    open. Windows across borders of documents are among them."""
    if not len(index.positions):
        return 0, 0
    given = (*index.text, *_spelled(index, run), index.positions, index.keys, 0, min(len(run), index.depth))
    return _bound(*given, 0), _bound(*given, 1)


def _spelled(index: Index, query: np.ndarray) -> tuple:
    """The query as the kernels read it, in tokens of the text's size. Raises TesseraError for an id beyond that."""
    dtype = np.dtype("<u2" if index.text.per_word == 4 else "<u4")
    beyond = np.flatnonzero((query < 0) | (query > np.iinfo(dtype).max))
    if len(beyond):
        raise TesseraError(
            f"token {beyond[0]} of the text has the id {query[beyond[0]]}, but the corpus has {dtype} ids; encode the "
            "text with the tokenizer of the corpus"
        )
    return tuple(as_text(np.ascontiguousarray(query, dtype)))[:3]


@njit(cache=True, nogil=True)
def _longest(
    words, last, n_tokens, per_word, asked, asked_last, n_asked, positions, depth, keys, offsets, least, found
):
    best = np.int64(0)
    for start in range(n_asked):
        best = max(best - 1, least - 1)  # what the run before leaves; shorter ones are not asked for
        limit = min(depth, n_asked - start)
        if n_asked - start < least:
            break
        at = _bound(words, last, n_tokens, per_word, asked, asked_last, n_asked, positions, keys, start, limit, 0)
        for step in (1, -1):
            entry = at if step == 1 else at - 1
            while 0 <= entry < len(positions) and best < n_asked - start:
                position = np.int64(positions[entry]) & LARGEST
                common = _common(words, last, n_tokens, per_word, asked, asked_last, n_asked, position, start, 0)
                if common > best:
                    best = max(best, min(common, _document_end(offsets, position) - position))
                if common <= best and common < depth:  # those beyond have less in common
                    break
                entry += step
        found[start] = best if best >= least else 0


@njit(cache=True, nogil=True)
def _bound(words, last, n_tokens, per_word, asked, asked_last, n_asked, positions, keys, start, limit, sign):
    """The first entry whose first `limit` tokens stand with those of the query from `start` (sign 0), or behind them
    (sign 1); they are at least one, and at most what the array is sorted by."""
    first = key(asked, asked_last, n_asked, per_word, start, 0, limit)
    beyond = first | (ONES >> _U64(64 // per_word * limit) if limit < per_word else _U64(0))
    before, until = np.searchsorted(keys, first), np.searchsorted(keys, beyond, side="right")
    low, high = STEP * max(0, before - 1), min(STEP * until, len(positions))
    low_common = high_common = np.int64(0)  # tokens that the entries at both ends share with the query, at least
    while low < high:
        middle = (low + high) >> 1
        position = np.int64(positions[middle]) & LARGEST
        taken = min(low_common, high_common)
        common = _common(words, last, n_tokens, per_word, asked, asked_last, n_asked, position, start, taken)
        if common >= limit:
            behind = sign == 0
        else:
            behind = position + common < n_tokens and key(
                words, last, n_tokens, per_word, position, common, common + 1
            ) > key(asked, asked_last, n_asked, per_word, start, common, common + 1)
        if behind:
            high, high_common = middle, min(common, limit)
        else:
            low, low_common = middle + 1, min(common, limit)
    return low


@njit(cache=True, nogil=True)
def _common(words, last, n_tokens, per_word, asked, asked_last, n_asked, position, start, taken):
    """How many tokens the text at `position` and the query from `start` begin with in common, of which `taken` are
    known."""
    most = min(n_tokens - position, n_asked - start)
    while taken < most:
        differing = key(words, last, n_tokens, per_word, position, taken, NO_DEPTH) ^ key(
            asked, asked_last, n_asked, per_word, start, taken, NO_DEPTH
        )
        if differing:
            shift = _U64(64 - 64 // per_word)
            while differing >> shift == 0:
                differing <<= _U64(64 // per_word)
                taken += 1
            return min(taken, most)
        taken += per_word
    return most


@njit(cache=True, nogil=True)
def _document_end(offsets, position):
    low, high = 0, len(offsets) - 1  # the first offset beyond the position
    while low < high:
        middle = (low + high) >> 1
        if np.int64(offsets[middle]) > position:
            high = middle
        else:
            low = middle + 1
    return np.int64(offsets[low])


@njit(cache=True, nogil=True)
def _same(words, last, n_tokens, per_word, asked, asked_last, n_asked, positions):
    """Whether the whole query stands at each position."""
    same = np.zeros(len(positions), np.bool_)
    for i in range(len(positions)):
        found = _common(words, last, n_tokens, per_word, asked, asked_last, n_asked, positions[i], 0, 0)
        same[i] = found == n_asked
    return same
