"""How the groups of a corpus are cut by the hashes of their windows: by its size alone, so that neither ranks nor
memory change a file."""

from typing import NamedTuple

CELL_TOKENS = 1 << 16  # of a cell, whose repeated windows are grouped at once, in the processor's cache
SHARD_CELLS = 6  # bits: a shard, which is a file, has at least 2^6 cells
MOST_CELLS, MOST_SHARDS = 20, 12  # bits


class Layout(NamedTuple):
    """Cells are the first `cell_bits` bits of a key, shards the first `shard_bits`."""

    cell_bits: int
    shard_bits: int

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return 1 << self.shard_bits

    @property
    def cells(self) -> int:
        """How many cells a shard has."""
        return 1 << self.cell_bits - self.shard_bits


def of(n_tokens: int) -> Layout:
    """The layout for a corpus of `n_tokens`: a cell for 2^15 to 2^16 of them, but at most 2^20 cells in 2^12 shards."""
    cells = min(MOST_CELLS, (-(-n_tokens // CELL_TOKENS) - 1).bit_length()) if n_tokens > CELL_TOKENS else 0
    return Layout(cells, min(MOST_SHARDS, max(0, cells - SHARD_CELLS)))
