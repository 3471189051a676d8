"""Brings windows to the ranks that own their shards, and answers back."""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from lib.corpus.exact.window_hashes import prefix

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm


class Routes:
    """The way of windows to their owners. All ranks make one together, and use it alike.

    order: int64, the windows of one rank after another, each in its former order; sent: int64 (ranks,), how many go to
    each. What a rank receives comes source by source.
    """

    def __init__(self, order: np.ndarray, sent: np.ndarray, comm: "Intracomm") -> None:
        self.order, self.sent, self.comm = order, sent, comm
        self.received = np.empty_like(sent)
        comm.Alltoall(self.sent, self.received)

    def there(self, values: np.ndarray) -> np.ndarray:
        """One value of each window of all ranks, for the windows that this one owns."""
        return self._swap(values[self.order], self.sent, self.received)

    def only(self, kept: np.ndarray) -> "Routes":
        """The way of some windows. kept: bool, of those that `there` brought."""
        mine = self._swap(kept, self.received, self.sent)
        sent = [part.sum() for part in np.split(mine, np.cumsum(self.sent)[:-1])]
        return Routes(self.order[mine], np.array(sent, np.int64), self.comm)

    def _swap(self, values: np.ndarray, sent: np.ndarray, received: np.ndarray) -> np.ndarray:
        found = np.empty(int(received.sum()), values.dtype)
        self.comm.Alltoallv([values, sent], [found, received])
        return found


class OwnRoutes:
    """The same for one rank alone, which has all windows already. kept: int64 or slice, those that are meant."""

    def __init__(self, kept: np.ndarray | slice) -> None:
        self.kept = kept

    def there(self, values: np.ndarray) -> np.ndarray:
        """The values of the windows that are meant."""
        return values[self.kept]

    def only(self, kept: np.ndarray) -> "OwnRoutes":
        """Those windows, of all, that are kept."""
        return OwnRoutes(np.flatnonzero(kept))  # a mask takes four times as long


def find(keys: np.ndarray, owners: np.ndarray, comm: "Intracomm") -> Routes | OwnRoutes:
    """The way of the windows with these keys (uint64). owners: int64 (shards,), the rank of each shard, -1 for none."""
    if comm.size == 1:
        return OwnRoutes(slice(None))
    sent, order = np.zeros(comm.size, np.int64), np.empty(len(keys), np.int64)
    _order(keys, owners, len(owners).bit_length() - 1, sent, order)
    return Routes(order, sent, comm)


@njit(cache=True, nogil=True)
def _order(keys, owners, bits, counts, order):
    """Fill `order` with the windows of owner after owner, and `counts` with how many each gets."""
    for i in range(len(keys)):
        counts[owners[prefix(keys[i], bits)]] += 1
    filled = np.cumsum(counts) - counts
    for i in range(len(keys)):
        owner = owners[prefix(keys[i], bits)]
        order[filled[owner]] = i
        filled[owner] += 1
