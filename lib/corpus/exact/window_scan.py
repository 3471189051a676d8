"""Reads a whole corpus in its order and hashes its windows: blocks of text go round the ranks."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lib.corpus.chunks import Chunk
from lib.corpus.exact.layout import Layout
from lib.corpus.exact.window_hashes import Hashed, Selection, hashes

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

_NONE = Hashed(*(np.zeros(0, np.uint64) for _ in range(3)))


class WindowScan:
    """The windows of `length` tokens of a corpus.

    block: tokens that a rank reads at once; starts: uint64 (chunks + 1,), the place at which each chunk begins, and the
    end of the last. The place of a window counts from the first token of the first chunk. ends: int64 (chunks,), the
    number of the block behind each chunk.
    """

    def __init__(self, corpus: Sequence[Chunk], length: int, layout: Layout, block: int, comm: "Intracomm") -> None:
        self.corpus, self.length, self.layout, self.block, self.comm = corpus, length, layout, block, comm
        self.room = Hashed(*(np.empty(block, np.uint64) for _ in range(3)))
        self.ends = np.cumsum([-(-chunk.n_tokens // block) for chunk in corpus])
        self.starts = np.cumsum([0, *(chunk.n_tokens for chunk in corpus)]).astype(np.uint64)

    @property
    def n_tokens(self) -> int:
        """Tokens of all chunks."""
        return int(self.starts[-1])

    @property
    def turns(self) -> int:
        """Blocks of each rank, of which those behind the end of the text are empty."""
        return -(-int(self.ends[-1]) // self.comm.size)

    def read(self, low: np.ndarray, high: np.ndarray, whole: bool) -> Iterator[Hashed]:
        """Block by block: this rank's windows of the cells low .. high - 1 (int64) of each shard.

        whole: whether second hashes and places are wanted. The blocks of all ranks in one turn are in the order of the
        text. The next block overwrites the arrays of this one.
        """
        selection = Selection(*self.layout, low, high)
        for turn in range(self.turns):
            yield self._numbered(turn * self.comm.size + self.comm.rank, selection, whole)

    def _numbered(self, number: int, selection: Selection, whole: bool) -> Hashed:
        """The windows of a block; none behind the last one."""
        row = int(np.searchsorted(self.ends, number, "right"))
        if row == len(self.corpus):
            return _NONE
        before = int(self.ends[row - 1]) if row else 0
        return self._block(row, (number - before) * self.block, selection, whole)

    def _block(self, row: int, start: int, selection: Selection, whole: bool) -> Hashed:
        chunk, base = self.corpus[row], int(self.starts[row])
        stop = min(start + self.block, chunk.n_tokens)
        room = self.room if whole else Hashed(self.room.keys, _NONE.others, _NONE.places)
        return hashes(chunk.tokens, chunk.offsets, start, stop, self.length, selection, base, room)
