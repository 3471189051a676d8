"""Chooses passages that are unique in a text and cuts them out, to be repeated a known number of times."""

from collections.abc import Sequence

import numpy as np

from lib.base.errors import TesseraError
from lib.base.seeds import generator

SHINGLE = 50  # characters; two texts that share as many count as near copies
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)


def normalised(text: str) -> str:
    """Lower case, with one space for every run of white space."""
    return " ".join(text.lower().split())


def shingles(text: str, width: int = SHINGLE) -> np.ndarray:
    """A hash (uint64) of every `width` consecutive bytes of the normalised text; none of a shorter one.

    A polynomial modulo 2^64 from differences of a running sum. Equal shingles have equal hashes; the reverse holds but
    for accidents, which here only cost a passage.
    """
    values = np.frombuffer(normalised(text).encode(), dtype=np.uint8).astype(np.uint64)
    if len(values) < width:
        return np.zeros(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        total = np.concatenate([[np.uint64(0)], np.cumsum(values * _powers(_INVERSE, len(values)), dtype=np.uint64)])
        return (total[width:] - total[:-width]) * _powers(_BASE, len(values) - width + 1)


def unique_pieces(texts: Sequence[str], length: int) -> list[list[int]]:
    """Of every text, where its unique pieces begin: of those that start at 0, length, 2 length, ...

    A piece of `length` characters is unique when none of its shingles occurs a second time anywhere in the texts.
    Raises ValueError for a length without a single shingle.
    """
    if length < 2 * SHINGLE:
        raise ValueError(f"pieces have {length} characters; they need at least {2 * SHINGLE} to be compared")
    values, counts = np.unique(np.concatenate([shingles(text) for text in texts]), return_counts=True)
    repeated = values[counts > 1]

    def unique(piece: str) -> bool:
        found = shingles(piece)
        once = np.searchsorted(repeated, found, "left") == np.searchsorted(repeated, found, "right")
        return len(found) > 0 and bool(once.all())

    starts = [range(0, len(text) - length + 1, length) for text in texts]
    return [[start for start in begins if unique(text[start : start + length])] for text, begins in zip(texts, starts)]


def drawn(pieces: Sequence[Sequence[int]], wanted: int, seed: int, subset: str) -> list[tuple[int, int]]:
    """`wanted` of the pieces, as (text, start), in a drawn order. Raises TesseraError when there are fewer."""
    every = [(text, start) for text, starts in enumerate(pieces) for start in starts]
    if len(every) < wanted:
        raise TesseraError(
            f"{subset}: only {len(every)} unique passages, fewer than {wanted}; "
            "name more packages, raise filler_characters, or lower passages_per_cell or passage_characters"
        )
    order = generator(seed, f"passages of {subset}").permutation(len(every))
    return [every[index] for index in order[:wanted]]


def without(text: str, starts: Sequence[int], length: int) -> list[str]:
    """What is left of a text when the pieces are cut out: the parts between, in order, empty ones left out."""
    edges = [0, *(edge for start in sorted(starts) for edge in (start, start + length)), len(text)]
    parts = (text[begin:end].strip("\n") for begin, end in zip(edges[::2], edges[1::2]))
    return [part for part in parts if part.strip()]


def _powers(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)
