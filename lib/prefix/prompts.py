"""Draws prompts and their true continuations: from which documents, and where in them.

A window of prompt and suffix lies inside one document. Documents are drawn uniformly among those that are long enough,
in one pass and bounded memory: every document has a priority, drawn by (seed, document), and the lowest win. The
position is drawn by (seed, document) as well. So the same windows come out for every model with that tokenizer.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.base.seeds import generator

PRIORITY_BLOCK = 4096  # documents whose priorities are drawn at once


@dataclass(frozen=True)
class SourceDocument:
    """A text to draw from. subset: its kind of data; repetitions: how often it was trained on (0: not known)."""

    text: str
    subset: str = ""
    repetitions: int = 0


@dataclass(frozen=True)
class Window:
    """`ids`: int64 (length,), from `position` (in tokens) of the document of that number."""

    document: int
    position: int
    ids: NDArray[np.int64]
    subset: str
    repetitions: int


@dataclass
class Seen:
    """Counts of one pass over the documents; `too_short` counts only those that were examined."""

    documents: int = 0
    too_short: int = 0


def draw(
    documents: Iterable[SourceDocument],
    encode: Callable[[str], Sequence[int]],
    length: int,
    wanted: int,
    seed: int,
    per_subset: bool = False,
) -> tuple[list[Window], Seen]:
    """Windows of `length` ids from `wanted` documents (0: all that are long enough), in the order of the documents.

    per_subset: `wanted` of each subset. Returns fewer when there are too few documents; the caller checks.
    """
    kept: dict[str, list[tuple[float, int, Window]]] = {}
    seen = Seen()
    for (number, document), priority in zip(enumerate(documents), priorities(seed)):
        seen.documents += 1
        best = kept.setdefault(document.subset if per_subset else "", [])
        full = bool(wanted) and len(best) == wanted
        if full and -best[0][0] <= priority:
            continue  # it would not be chosen, however long
        window = _window(document, number, encode, length, seed)
        if window is None:
            seen.too_short += 1
            continue
        (heapq.heapreplace if full else heapq.heappush)(best, (-priority, number, window))
    windows = [window for best in kept.values() for _, _, window in best]
    return sorted(windows, key=lambda window: window.document), seen


def priorities(seed: int) -> Iterator[float]:
    """The priority of document 0, 1, 2, ...: uniform in [0, 1)."""
    block = 0
    while True:
        yield from generator(seed, "documents of prompts", block).random(PRIORITY_BLOCK).tolist()
        block += 1


def split(windows: Sequence[Window], n_prompt: int, n_suffix: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts (n, n_prompt) and suffixes (n, n_suffix): the end of every window, so that shorter prompts share it."""
    ids = np.stack([window.ids for window in windows])
    return ids[:, ids.shape[1] - n_suffix - n_prompt : ids.shape[1] - n_suffix], ids[:, ids.shape[1] - n_suffix :]


def _window(
    document: SourceDocument, number: int, encode: Callable[[str], Sequence[int]], length: int, seed: int
) -> Window | None:
    if len(document.text.encode()) < length:  # a token stands for a byte at least
        return None
    ids = np.asarray(encode(document.text), dtype=np.int64)
    if len(ids) < length:
        return None
    position = int(generator(seed, "positions of prompts", number).integers(len(ids) - length + 1))
    return Window(number, position, ids[position : position + length].copy(), document.subset, document.repetitions)
