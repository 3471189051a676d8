"""Near-duplicates in texts that fit into memory, such as a list of documents: the scan of a corpus, in one call.

A token is whatever the texts are cut into: an id, a word, a character.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.base.errors import TesseraError
from lib.corpus.near import scan
from lib.corpus.near.non_overlapping import choose


class Found(NamedTuple):
    """Near-duplicates, sorted by target, text and position. `pandas.DataFrame(found._asdict())` is a table of them.

    target, text: int64, numbers of rows that were given; position: int64, in tokens of that text; distance: uint16,
    in tokens.
    """

    target: NDArray[np.int64]
    text: NDArray[np.int64]
    position: NDArray[np.int64]
    distance: NDArray[np.uint16]


def find(
    texts: Sequence[Sequence[Hashable]],
    targets: Sequence[Sequence[Hashable]],
    max_distance: int,
    metric: Literal["levenshtein", "hamming"] = "levenshtein",
) -> Found:
    """The windows of the texts within `max_distance` edits of a target, exact copies included.

    texts, targets: tokens; all targets have one length, which is that of a window, and a window lies inside one text.
    Of windows that overlap, the nearest is kept, then the first. Raises TesseraError for no targets, targets of
    several lengths, texts that are cut otherwise than targets, a distance that is no whole number, or an unknown
    metric.
    """
    texts, targets = list(texts), list(targets)
    _check_cut(texts, targets)
    if max_distance != int(max_distance):
        raise TesseraError(f"max_distance is {max_distance}; it must be a whole number of edits")
    if metric not in scan.METRICS:
        raise TesseraError(f"metric is '{metric}'; known: {', '.join(scan.METRICS)}")
    numbers: dict[Hashable, int] = {}
    prepared = scan.prepare(_windows(targets, numbers), max_distance)
    tokens = np.array([numbers.get(token, len(numbers)) for text in texts for token in text], np.uint32)
    offsets = np.cumsum([0, *map(len, texts)])
    hits = scan.scan(tokens, offsets, prepared, 0, len(tokens))[metric]
    hits = scan.keep(hits, lambda positions, distances: choose(positions, distances, prepared.length))
    text = np.searchsorted(offsets, hits.position, side="right") - 1
    return Found(hits.target.astype(np.int64), text, hits.position - offsets[text], hits.distance)


def _check_cut(texts: Sequence[Any], targets: Sequence[Any]) -> None:
    """Raise TesseraError for what is no text, and where strings, whose tokens are characters, meet lists of tokens."""
    for name, rows in (("text", texts), ("target", targets)):
        for row, one in enumerate(rows):
            if not isinstance(one, Sequence | np.ndarray):
                raise TesseraError(f"{name} {row} is {one!r}; it must be a list of tokens")
    strings = {isinstance(one, str) for one in (*texts, *targets)}
    if len(strings) > 1:
        raise TesseraError(
            "some texts or targets are strings (whose tokens are characters), others lists of tokens; cut all alike, "
            "such as [text.split() for text in texts], and put one target in a list: [target]"
        )


def _windows(targets: Sequence[Sequence[Hashable]], numbers: dict[Hashable, int]) -> NDArray[np.uint32]:
    """The targets as rows of numbers, (n, length); `numbers` is filled with the number of each of their tokens."""
    for row, target in enumerate(targets):
        if len(target) != len(targets[0]):
            raise TesseraError(
                f"target {row} has {len(target)} tokens, target 0 has {len(targets[0])}; cut them to one length"
            )
    return np.array([[numbers.setdefault(token, len(numbers)) for token in target] for target in targets], np.uint32)
