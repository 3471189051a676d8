"""The text of a corpus in blocks of whole documents, for ranks to share."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.base import blocks
from lib.corpus.chunks import Chunk

BLOCK_TOKENS = 1 << 26  # a block takes a fraction of a second; SlimPajama has 10,000

Ranges = Mapping[str, tuple[int, int, int]]  # name of a block -> index of the chunk, start, stop


def text_ranges(corpus: Sequence[Chunk], size: int = BLOCK_TOKENS, prefix: str = "") -> Ranges:
    """The tokens of every chunk in blocks of `size`."""
    return named(((row, chunk.n_tokens) for row, chunk in enumerate(corpus)), size, prefix)


def named(sizes: Any, size: int, prefix: str) -> Ranges:
    return {
        f"{prefix}{row:02d}-{start:012d}-{stop:012d}": (row, start, stop)
        for row, total in sizes
        for start, stop in blocks.ranges(0, total, size)
    }
