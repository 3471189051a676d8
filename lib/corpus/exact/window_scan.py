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
    end of the last. The place of a window counts from the first token of the first chunk.
    """

    def __init__(self, corpus: Sequence[Chunk], length: int, layout: Layout, block: int, comm: "Intracomm") -> None:
        self.corpus, self.length, self.layout, self.block, self.comm = corpus, length, layout, block, comm
        self.room = Hashed(*(np.empty(block, np.uint64) for _ in range(3)))
        self.starts = np.cumsum([0, *(chunk.n_tokens for chunk in corpus)]).astype(np.uint64)

    @property
    def n_tokens(self) -> int:
        """Tokens of all chunks."""
        return int(self.starts[-1])

    def read(self, low: np.ndarray, high: np.ndarray, whole: bool) -> Iterator[tuple[Hashed, int]]:
        """Block by block: this rank's windows of the cells low .. high - 1 (int64) of each shard, and the tokens read.

        whole: whether second hashes and places are wanted. All ranks get equally many blocks; those behind the end of
        the text are empty. In one turn of all ranks blocks are in the order of the text. The next block overwrites
        the arrays of this one.
        """
        ends = np.cumsum([-(-chunk.n_tokens // self.block) for chunk in self.corpus])
        selection = Selection(*self.layout, low, high)
        for turn in range(-(-int(ends[-1]) // self.comm.size)):
            number = turn * self.comm.size + self.comm.rank
            row = int(np.searchsorted(ends, number, "right"))
            if row == len(ends):
                yield _NONE, 0
            else:
                before = int(ends[row - 1]) if row else 0
                yield self._block(row, (number - before) * self.block, selection, whole)

    def _block(self, row: int, start: int, selection: Selection, whole: bool) -> tuple[Hashed, int]:
        chunk, base = self.corpus[row], int(self.starts[row])
        stop = min(start + self.block, chunk.n_tokens)
        room = self.room if whole else Hashed(self.room.keys, _NONE.others, _NONE.places)
        return hashes(chunk.tokens, chunk.offsets, start, stop, self.length, selection, base, room), stop - start
