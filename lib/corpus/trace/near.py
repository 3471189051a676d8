"""Near-duplicates of a query's windows: by seeds where the distance is small, else by the scan. Both find the same.

A window within d edits of a target leaves one of d + 1 pieces of it untouched (the pigeonhole principle, Wu and Manber
1992), and no further than d // 2 from its place, since windows have the target's length: as many tokens were inserted
as left out. So the pieces are looked up in the suffix array, and only the text around them goes through the scan.
Where pieces occur so often that this would read more than the chunk has, the whole chunk is scanned.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.corpus.near import scan
from lib.corpus.near.non_overlapping import choose
from lib.corpus.near.scan import Hits, Targets
from lib.corpus.trace.index import Index
from lib.corpus.trace.runs import interval

LEVENSHTEIN = "levenshtein"
TENTH = 10  # a window may differ in one of ten tokens, unless said otherwise
SEED = 4  # tokens of the shortest piece that is worth looking up
SPARSE = (
    64  # tokens of the chunk for each place where a piece stands, at least; a place costs 100 ns, a scanned token 10
)
READ = 2  # tokens of the chunk for each that is read around these places, at least: gathered, it costs twice as much


class Regions(NamedTuple):
    """Window starts first .. last (both included) that are inside single documents; int64 (n,), rising, disjoint."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]


def windows(n_tokens: int, length: int) -> tuple[NDArray[np.int64], int]:
    """Where the windows of a query begin that cover it, and their length: one after another, the last one at its end.

    A query of no more than `length` tokens is one window; one without tokens has none.
    """
    if n_tokens <= length:
        return np.zeros(min(n_tokens, 1), np.int64), n_tokens
    return np.append(np.arange(0, n_tokens - length, length), n_tokens - length), length


class Near(NamedTuple):
    """Near-duplicates, sorted by query, start and position: int64 (n,) each.

    query: its row; start, length: the window of it; position: of the first token in the chunk; distance: in tokens.
    """

    query: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    position: NDArray[np.int64]
    distance: NDArray[np.int64]


def of_queries(
    index: Index, tokens: np.ndarray, queries: Sequence[np.ndarray], window: int, max_edits: int | None
) -> Near:
    """The near-duplicates in a chunk of all windows of queries (ids, as the chunk has them), as `find` has them.

    window: tokens of a window, at most; max_edits: the largest distance; None is a tenth of the window's length.
    """
    by_length: dict[int, list[tuple[int, int]]] = {}
    for row, query in enumerate(queries):
        starts, length = windows(len(query), window)
        by_length.setdefault(length, []).extend((row, start) for start in starts.tolist())
    by_length.pop(0, None)
    found = [_of_length(index, tokens, queries, rows, length, max_edits) for length, rows in by_length.items()]
    columns = np.concatenate([np.zeros((5, 0), np.int64), *found], axis=1)
    return Near(*columns[:, np.lexsort((columns[3], columns[1], columns[0]))])


def _of_length(
    index: Index, tokens: np.ndarray, queries: Sequence[np.ndarray], rows: list[tuple[int, int]], length: int,
    max_edits: int | None,
) -> NDArray[np.int64]:  # fmt: skip
    """The columns of Near, of the windows (query, start) of one length."""
    targets = np.array([queries[row][start : start + length] for row, start in rows]).astype(tokens.dtype)
    hits = find(index, tokens, targets, length // TENTH if max_edits is None else min(max_edits, length))
    query, start = np.array(rows, np.int64)[hits.target].T.reshape(2, -1)
    return np.array([query, start, np.full(len(hits), length), hits.position, hits.distance], np.int64)


def find(index: Index, tokens: np.ndarray, targets: np.ndarray, max_distance: int) -> Hits:
    """The windows of a chunk within `max_distance` edits (Levenshtein) of the targets, none overlapping another of its
    target: the nearest first, then the lowest position.

    tokens: of the chunk; targets: ids (n, length), as the chunk has them. A window lies inside one document.
    """
    prepared = scan.prepare(targets, max_distance)
    regions = seeded(index, targets, max_distance)
    if regions is None:
        found = scan.scan(tokens, index.offsets, prepared, 0, len(tokens))[LEVENSHTEIN]
    else:
        found = _scan_regions(tokens, regions, prepared)
    return scan.keep(found, lambda positions, distances: choose(positions, distances, prepared.length))


def seeded(index: Index, targets: np.ndarray, max_distance: int) -> Regions | None:
    """Where windows near a target may begin; None if looking there would cost more than a scan."""
    length = targets.shape[1]
    bounds = np.linspace(0, length, max_distance + 2).astype(int)
    if np.diff(bounds).min() < SEED:
        return None
    pieces = [(row[start:stop], start) for row in targets for start, stop in itertools.pairwise(bounds.tolist())]
    found = [(*interval(index, piece), start) for piece, start in pieces]
    if sum(high - low for low, high, _ in found) * SPARSE > index.text.n_tokens:
        return None
    position = np.concatenate([index.positions[low:high].astype(np.int64) for low, high, _ in found])
    begin = position - np.repeat([start for *_, start in found], [high - low for low, high, _ in found])
    regions = _around(begin, _documents(index.offsets, position), index.offsets, length, max_distance // 2)
    read = int((regions.last - regions.first + length).sum())
    return regions if read * READ < index.text.n_tokens else None


def _around(
    begin: NDArray[np.int64], document: NDArray[np.int64], offsets: np.ndarray, length: int, reach: int
) -> Regions:
    """Up to `reach` tokens before and behind `begin`, as far as windows lie inside the documents; joined."""
    low, high = offsets[document].astype(np.int64), offsets[document + 1].astype(np.int64)
    return _joined(np.maximum(begin - reach, low), np.minimum(begin + reach, high - length))


def _documents(offsets: np.ndarray, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(offsets, positions, side="right").clip(1, len(offsets) - 1) - 1


def _joined(first: NDArray[np.int64], last: NDArray[np.int64]) -> Regions:
    """Regions without the empty ones; those that overlap as one."""
    kept = np.flatnonzero(first <= last)
    order = kept[np.argsort(first[kept], kind="stable")]
    first, reached = first[order], np.maximum.accumulate(last[order])
    new = np.append(True, first[1:] > reached[:-1])[: len(first)]
    return Regions(first[new], reached[np.append(new[1:], True)[: len(first)]])


def _scan_regions(tokens: np.ndarray, regions: Regions, targets: Targets) -> Hits:
    """The scan over the regions alone, put one behind another as if they were documents."""
    lengths = regions.last - regions.first + targets.length
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shift = regions.first - offsets[:-1]
    gathered = tokens[np.arange(offsets[-1]) + np.repeat(shift, lengths)]
    hits = scan.scan(gathered, offsets, targets, 0, len(gathered))[LEVENSHTEIN]
    position = hits.position + shift[_documents(offsets, hits.position)] if len(hits) else hits.position
    return Hits(hits.target, position, hits.distance)
