"""Sends suffixes to the rank that sorts them: one rank finds a suffix in the text, another one owns its range.

The text's blocks go round the ranks, and each round ends with an exchange. What a rank receives in a round, source by
source, is therefore in the order of the text, and no rank reads more of it than its share.
"""

import numpy as np
from mpi4py import MPI
from numba import njit

from lib.corpus.suffixes.ranges import Ranges, position_dtype

BLOCK_TOKENS = 1 << 18
ROUND_TOKENS = 1 << 24  # of all blocks of a round, 8 bytes each: what a rank receives if all of them are its own
_U64 = np.uint64


class Exchange:
    """The suffixes of a text, those that begin in this rank's blocks classified. Takes 2 bytes for each of them.

    sizes: how many suffixes every range has in the whole text (int64).
    """

    def __init__(self, finder: Ranges, comm: MPI.Intracomm) -> None:
        self.finder, self.comm = finder, comm
        self.block = min(BLOCK_TOKENS, max(1, ROUND_TOKENS // comm.size))
        self.rounds = -(-finder.text.n_tokens // (self.block * comm.size))
        self.found = [finder.find(*self._bounds(index, comm.rank)) for index in range(self.rounds)]
        self.sizes = np.zeros(len(finder), np.int64)
        for ranges in self.found:
            self.sizes += np.bincount(ranges, minlength=len(finder))
        comm.Allreduce(MPI.IN_PLACE, self.sizes)

    def deliver(self, owners: np.ndarray) -> np.ndarray:
        """The positions of all suffixes of this rank's ranges, range after range and rising in each.

        owners: int64, the rank that gets each range; -1: not delivered now. All ranks call this with the same owners.
        Keys are not sent: computing them where they are sorted costs less than moving and keeping them.
        """
        mine = owners == self.comm.rank
        fill = np.cumsum(np.where(mine, self.sizes, 0)) - self.sizes
        positions = np.empty(int(self.sizes[mine].sum()), position_dtype(self.finder.text.n_tokens))
        for index, ranges in enumerate(self.found):
            received, bounds = self._swap(*self._outgoing(ranges, owners))
            for source in range(self.comm.size):
                start, _ = self._bounds(index, source)
                _append(received, bounds[source], bounds[source + 1], start, fill, positions)
        return positions

    def _bounds(self, index: int, rank: int) -> tuple[int, int]:
        """The tokens of a rank's block of a round; nothing behind the end of the text."""
        start = min((index * self.comm.size + rank) * self.block, self.finder.text.n_tokens)
        return start, min(start + self.block, self.finder.text.n_tokens)

    def _outgoing(self, ranges: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a block of these ranges holds for every rank, one after another, and how many suffixes each gets."""
        counts = np.bincount(owners[ranges] + 1, minlength=self.comm.size + 1)[1:]
        sent = np.empty(int(counts.sum()), _U64)
        _route(ranges, owners, np.cumsum(counts) - counts, sent)
        return sent, counts

    def _swap(self, sent: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What all ranks have for this one, source by source, and where each source begins."""
        incoming = np.empty_like(counts)
        self.comm.Alltoall(counts, incoming)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(incoming)])
        received = np.empty(int(bounds[-1]), _U64)
        self.comm.Alltoallv([sent, counts], [received, incoming])
        return received, bounds


@njit(cache=True, nogil=True)
def _route(ranges, owners, fill, sent):
    """Fill `sent`, owner by owner: the range of a suffix and its place in the block, 32 bits each."""
    for i in range(len(ranges)):
        owner = owners[ranges[i]]
        if owner >= 0:
            sent[fill[owner]] = _U64(ranges[i]) << _U64(32) | _U64(i)
            fill[owner] += 1


@njit(cache=True, nogil=True)
def _append(received, first, end, start, fill, positions):
    """Put each of the suffixes first .. end - 1 behind those of its range; `fill`: where the next of a range goes."""
    for i in range(first, end):
        index = received[i] >> _U64(32)
        positions[fill[index]] = start + np.int64(received[i] & _U64(0xFFFFFFFF))
        fill[index] += 1
