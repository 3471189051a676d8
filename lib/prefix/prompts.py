"""Draws prompts and their true continuations: from which documents, and where in them.

A window of prompt and suffix lies inside one document. Documents are drawn uniformly among those that are long enough,
in one pass and bounded memory: every document has a priority, drawn by (seed, document), and the lowest win. The
positions are drawn by (seed, document) as well. So the same windows come out for every model with that tokenizer.

A document may give several windows, which do not overlap. Second ones are taken only where first ones of all documents
are too few, third ones only then, and so on: windows of one document say less than those of several.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.base.config import at_least
from lib.base.seeds import generator

PRIORITY_BLOCK = 4096  # documents whose priorities are drawn at once


@dataclass(frozen=True)
class SourceDocument:
    """A text to draw from. subset: its kind of data; repetitions: how often it was trained on (0: not known).

    file: where it is from ("": not known); in_file: which document of that file it is, from 1 (0: not known).
    """

    text: str
    subset: str = ""
    repetitions: int = 0
    file: str = ""
    in_file: int = 0


@dataclass(frozen=True)
class Window:
    """`ids`: int64 (length,), from `position` (in tokens) of the document of that number."""

    document: int
    position: int
    ids: NDArray[np.int64]
    subset: str
    repetitions: int
    file: str = ""
    in_file: int = 0


# The turn of a window in its document and the priority of the document, both negative, so that the worst of a heap
# comes first; then the document.
Ranked = tuple[int, float, int, Window]


@dataclass(frozen=True)
class Amounts:
    """How many windows: `wanted` of all documents together, or `per_subset` of each subset (0: all there are), and at
    most `per_document` of each document."""

    wanted: int
    per_subset: bool = False
    per_document: int = 1


def draw(
    documents: Iterable[SourceDocument],
    encode: Callable[[str], Sequence[int]],
    length: int,
    amounts: Amounts,
    seed: int,
) -> tuple[list[Window], int]:
    """Windows of `length` ids in the order of the documents, and how many documents were seen.

    There are fewer windows where documents hold fewer, which the caller checks.
    """
    kept: dict[str, list[Ranked]] = {}
    seen = 0
    for (number, document), priority in zip(enumerate(documents), priorities(seed)):
        seen += 1
        best = kept.setdefault(document.subset if amounts.per_subset else "", [])
        if _full(best, amounts.wanted) and best[0][:2] >= (0, -priority):
            continue  # its first window would not be chosen, however long it is
        windows = _windows(document, number, encode, length, seed, amounts.per_document)
        for turn, window in enumerate(windows):
            _keep(best, (-turn, -priority, number, window), amounts.wanted)
    chosen = [window for best in kept.values() for *_, window in best]
    return sorted(chosen, key=lambda window: (window.document, window.position)), seen


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


def beginnings(
    rows: Sequence[Sequence[int]], n_prompt: int, n_suffix: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The beginnings of texts as prompts, where none are to be drawn from inside them.

    rows: the ids of each text. Returns prompts (n, n_prompt), suffixes (n, n_suffix), and (n,) which rows they are of;
    shorter ones are left out. Raises ValueError if all are, for counts below 1, and for a row that is a string.
    """
    at_least(1, n_prompt=n_prompt, n_suffix=n_suffix)
    for number, row in enumerate(rows):
        if isinstance(row, str):
            raise ValueError(f"row {number} is a string; give its ids (lib.tokens.tokenization.encode_all)")
    length = n_prompt + n_suffix
    kept = [number for number, row in enumerate(rows) if len(row) >= length]
    if not kept:
        longest = max(map(len, rows), default=0)
        raise ValueError(
            f"none of {len(rows)} texts has {length} tokens (prompt and suffix); the longest has {longest}; ask for "
            "fewer tokens, or give longer texts"
        )
    ids = np.array([rows[number][:length] for number in kept], dtype=np.int64)
    return ids[:, :n_prompt], ids[:, n_prompt:], np.array(kept, dtype=np.int64)


def _full(best: list[Ranked], wanted: int) -> bool:
    return bool(wanted) and len(best) == wanted


def _keep(best: list[Ranked], ranked: Ranked, wanted: int) -> None:
    """Add to the heap of the `wanted` best windows, whose worst comes first."""
    if not _full(best, wanted):
        heapq.heappush(best, ranked)
    elif best[0][:2] < ranked[:2]:
        heapq.heapreplace(best, ranked)


def _windows(
    document: SourceDocument, number: int, encode: Callable[[str], Sequence[int]], length: int, seed: int, most: int
) -> list[Window]:
    """Up to `most` windows of one document, in the order in which they are taken."""
    if len(document.text.encode()) < length:  # a token stands for a byte at least
        return []
    ids = np.asarray(encode(document.text), dtype=np.int64)
    about = (document.subset, document.repetitions, document.file, document.in_file)
    return [
        Window(number, at, ids[at : at + length].copy(), *about)
        for at in _positions(len(ids), length, most, generator(seed, "positions of prompts", number))
    ]


def _positions(n_ids: int, length: int, most: int, draws: np.random.Generator) -> list[int]:
    """Where min(most, n_ids // length) windows that do not overlap begin, in random order.

    The ids between them are split by independent uniform cuts; one window is uniform over its places.
    """
    count = min(most, n_ids // length)
    if not count:
        return []
    cuts = np.sort(draws.integers(n_ids - count * length + 1, size=count))
    return draws.permutation(cuts + length * np.arange(count)).tolist()
