"""Brings windows to the ranks that own their shards, and answers back."""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from lib.corpus.exact.window_hashes import prefix

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm


class Routes:
    """The way of the windows with these keys (uint64) to their owners. All ranks make one together, and use it alike.

    owners: int64 (shards,), the rank of each shard. What a rank receives comes source by source, each in its order.
    """

    def __init__(self, keys: np.ndarray, owners: np.ndarray, comm: "Intracomm") -> None:
        self.comm = comm
        if comm.size == 1:
            return
        self.sent = np.zeros(comm.size, np.int64)
        self.order = np.empty(len(keys), np.int32)
        _order(keys, owners, len(owners).bit_length() - 1, self.sent, self.order)
        self.received = np.empty_like(self.sent)
        comm.Alltoall(self.sent, self.received)

    def there(self, values: np.ndarray) -> np.ndarray:
        """One value of each window of all ranks, for the windows that this one owns."""
        return values if self.comm.size == 1 else self._swap(values[self.order], self.sent, self.received)

    def back(self, answers: np.ndarray) -> np.ndarray:
        """The answers for this rank's windows, in their order; `answers` are for those that `there` brought."""
        if self.comm.size == 1:
            return answers
        found = np.empty(len(self.order), answers.dtype)
        found[self.order] = self._swap(answers, self.received, self.sent)
        return found

    def _swap(self, values: np.ndarray, sent: np.ndarray, received: np.ndarray) -> np.ndarray:
        found = np.empty(int(received.sum()), values.dtype)
        self.comm.Alltoallv([np.ascontiguousarray(values), sent], [found, received])
        return found


@njit(cache=True, nogil=True)
def _order(keys, owners, bits, counts, order):
    """Fill `order` with the windows of owner after owner, and `counts` with how many each gets."""
    for key in keys:
        counts[owners[prefix(key, bits)]] += 1
    filled = np.cumsum(counts) - counts
    for i in range(len(keys)):
        owner = owners[prefix(keys[i], bits)]
        order[filled[owner]] = i
        filled[owner] += 1
