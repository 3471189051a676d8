"""Slow, plain versions of the near-duplicate scan, whose results the fast one must have.

They use plain loops, rapidfuzz, and the published sliding counter.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Hamming, Levenshtein

METRICS = {"hamming": Hamming.distance, "levenshtein": Levenshtein.distance}
Ids = Sequence[int]
Rows = list[tuple[int, ...]]


def overlap(window: Ids, target: Ids) -> int:
    """The number of tokens that both have, counted as multisets."""
    return sum((Counter(window) & Counter(target)).values())


def hits(tokens: Ids, offsets: Ids, targets: Sequence[Ids], max_distance: int) -> dict[str, Rows]:
    """(target, position, distance) of every window within the distance that is a candidate, by metric."""
    length = len(targets[0])
    starts = [p for low, high in itertools.pairwise(offsets) for p in range(low, high - length + 1)]
    found: dict[str, Rows] = {metric: [] for metric in METRICS}
    for number, target in enumerate(targets):
        for position in starts:
            window = tokens[position : position + length]
            if overlap(window, target) < length - max_distance:
                continue
            for metric, distance in METRICS.items():
                value = int(distance(list(window), list(target)))
                if value <= max_distance:
                    found[metric].append((number, position, value))
    return found


def choice(rows: Rows, length: int) -> Rows:
    """Of (target, position, distance), for each target: the best ones, chosen greedily so that none overlap."""
    kept: Rows = []
    for target, position, distance in sorted(rows, key=lambda row: (row[0], row[2], row[1])):
        if all(other != target or abs(position - at) >= length for other, at, _ in kept):
            kept.append((target, position, distance))
    return sorted(kept)


def near_duplicates_of_corpus(
    chunks: Sequence[tuple[Ids, Ids]], targets: Sequence[Ids], max_distance: int
) -> dict[str, Rows]:
    """(target, chunk, position, distance) over (tokens, offsets) of every chunk, by metric."""
    found: dict[str, Rows] = {metric: [] for metric in METRICS}
    for chunk, (tokens, offsets) in enumerate(chunks):
        for metric, rows in hits(tokens, offsets, targets, max_distance).items():
            found[metric] += [(t, chunk, p, d) for t, p, d in choice(rows, len(targets[0]))]
    return {metric: sorted(rows) for metric, rows in found.items()}


def sliding_counters(tokens: Ids, targets: Sequence[Ids], max_distance: int) -> Iterator[tuple[int, int]]:
    """(position, target) of every candidate in one document, found by the published method in pure Python.

    It keeps a counter of the window, and updates every target's overlap for the token that enters and the one that
    leaves.
    """
    length = len(targets[0])
    counters = [Counter(target) for target in targets]
    window = Counter(tokens[:length])
    overlaps = [overlap(tokens[:length], target) for target in targets]
    for position in range(len(tokens) - length + 1):
        if position:
            gone, come = tokens[position - 1], tokens[position + length - 1]
            for number, target in enumerate(counters):
                overlaps[number] -= window[gone] <= target[gone]
            window[gone] -= 1
            window[come] += 1
            for number, target in enumerate(counters):
                overlaps[number] += window[come] <= target[come]
        for number, value in enumerate(overlaps):
            if value >= length - max_distance:
                yield position, number
