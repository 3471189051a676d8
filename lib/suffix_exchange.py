"""Suffixes change hands: each is found in the text by one rank and sorted by the rank that has its range.

The text's blocks go round the ranks, and each round ends with an exchange. What a rank receives in a round, source by
source, is therefore in the order of the text, and no rank reads more of it than its share.
"""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from lib.suffix_array import Ranges, position_dtype
from lib.suffix_sorting import key

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

BLOCK_TOKENS = 1 << 18
ROUND_TOKENS = 1 << 24  # of all blocks of a round, 16 bytes each: what a rank receives if all of them are its own
_U64 = np.uint64


class Exchange:
    """The suffixes of a text, those that begin in this rank's blocks classified. Takes 2 bytes for each of them.

    sizes: how many suffixes every range has in the whole text (int64).
    """

    def __init__(self, finder: Ranges, comm: "Intracomm") -> None:
        from mpi4py import MPI

        self.finder, self.comm = finder, comm
        self.block = min(BLOCK_TOKENS, max(1, ROUND_TOKENS // comm.size))
        self.rounds = -(-finder.text.n_tokens // (self.block * comm.size))
        self.found = [finder.of(*self._bounds(index, comm.rank)) for index in range(self.rounds)]
        self.sizes = np.zeros(len(finder), np.int64)
        for ranges in self.found:
            self.sizes += np.bincount(ranges, minlength=len(finder))
        comm.Allreduce(MPI.IN_PLACE, self.sizes)

    def deliver(self, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (rising within each range) and keys (uint64) of all suffixes of this rank's ranges, in the order
        of the ranges.

        owners: int64, the rank that wants each range; -1: none does now. All ranks call this with the same owners.
        """
        mine = owners == self.comm.rank
        fill = np.cumsum(np.where(mine, self.sizes, 0)) - self.sizes
        positions = np.empty(int(self.sizes[mine].sum()), position_dtype(self.finder.text.n_tokens))
        keys = np.empty(len(positions), _U64)
        for index, ranges in enumerate(self.found):
            received, bounds = self._swap(*self._outgoing(index, ranges, owners))
            for source in range(self.comm.size):
                start, _ = self._bounds(index, source)
                _append(received, bounds[source], bounds[source + 1], start, fill, positions, keys)
        return positions, keys

    def _bounds(self, index: int, rank: int) -> tuple[int, int]:
        """The tokens of a rank's block of a round; nothing behind the end of the text."""
        start = min((index * self.comm.size + rank) * self.block, self.finder.text.n_tokens)
        return start, min(start + self.block, self.finder.text.n_tokens)

    def _outgoing(self, index: int, ranges: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What this block holds for every rank, one after another, and how many suffixes each gets."""
        counts = np.bincount(owners[ranges] + 1, minlength=self.comm.size + 1)[1:]
        sent = np.empty((int(counts.sum()), 2), _U64)
        start, _ = self._bounds(index, self.comm.rank)
        _route(*self.finder.text, self.finder.depth, start, ranges, owners, np.cumsum(counts) - counts, sent)
        return sent, counts

    def _swap(self, sent: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What all ranks have for this one, source by source, and where each source begins."""
        incoming = np.empty_like(counts)
        self.comm.Alltoall(counts, incoming)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(incoming)])
        received = np.empty((int(bounds[-1]), 2), _U64)
        self.comm.Alltoallv([sent, counts * 2], [received, incoming * 2])
        return received, bounds


@njit(cache=True, nogil=True)
def _route(words, last, n_tokens, per_word, depth, start, ranges, owners, fill, sent):
    """Fill `sent`, owner by owner: the key of a suffix; its range and its place in the block, 32 bits each."""
    for i in range(len(ranges)):
        owner = owners[ranges[i]]
        if owner >= 0:
            place = fill[owner]
            sent[place, 0] = key(words, last, n_tokens, per_word, start + i, 0, depth)
            sent[place, 1] = _U64(ranges[i]) << _U64(32) | _U64(i)
            fill[owner] = place + 1


@njit(cache=True, nogil=True)
def _append(received, first, end, start, fill, positions, keys):
    """Put each of the suffixes first .. end - 1 behind those of its range; `fill`: where the next of a range goes."""
    for i in range(first, end):
        index = received[i, 1] >> _U64(32)
        place = fill[index]
        positions[place] = start + np.int64(received[i, 1] & _U64(0xFFFFFFFF))
        keys[place] = received[i, 0]
        fill[index] = place + 1
