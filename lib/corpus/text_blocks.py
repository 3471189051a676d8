"""Cuts the text of a corpus into named blocks of tokens, which ranks share and a resumed run finds again."""

from collections.abc import Iterable, Mapping, Sequence

from lib.base import blocks
from lib.corpus.chunks import Chunk

BLOCK_TOKENS = 1 << 26  # a block takes a fraction of a second; SlimPajama has 10,000

TextRanges = Mapping[str, tuple[int, int, int]]  # name of a block -> index of the chunk, start, stop


def text_ranges(corpus: Sequence[Chunk], size: int = BLOCK_TOKENS, prefix: str = "") -> TextRanges:
    """The tokens of every chunk in blocks of `size`."""
    return named_ranges(((row, chunk.n_tokens) for row, chunk in enumerate(corpus)), size, prefix)


def sizes(ranges: TextRanges) -> dict[str, int]:
    """How many tokens (or other items) each block has."""
    return {name: stop - start for name, (_, start, stop) in ranges.items()}


def named_ranges(totals: Iterable[tuple[int, int]], size: int, prefix: str) -> TextRanges:
    """Blocks of `size` items of each (index of the chunk, number of items); names begin with `prefix`."""
    return {
        f"{prefix}{row:02d}-{start:012d}-{stop:012d}": (row, start, stop)
        for row, total in totals
        for start, stop in blocks.ranges(0, total, size)
    }
