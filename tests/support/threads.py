"""Runs a stage as several ranks in one process: threads that share what MPI's collective calls would.

For stages whose ranks only divide work and wait for each other; real MPI is in `ranks`.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from lib.base import mpi

WAIT_SECONDS = 120.0


class Comm:
    """The part of a communicator that stages of blocks use."""

    def __init__(self, rank: int, barrier: threading.Barrier, shared: dict[str, Any]) -> None:
        self.rank, self.size = rank, barrier.parties
        self._barrier, self._shared = barrier, shared

    def barrier(self) -> None:
        """Wait for all."""
        self._barrier.wait(WAIT_SECONDS)

    def bcast(self, value: Any, root: int = 0) -> Any:
        """What the root gives."""
        if self.rank == root:
            self._shared["value"] = value
        self.barrier()
        found = self._shared["value"]
        self.barrier()
        return found

    def allgather(self, value: Any) -> list[Any]:
        """What every rank gives, by rank."""
        self._shared[f"of {self.rank}"] = value
        self.barrier()
        found = [self._shared[f"of {rank}"] for rank in range(self.size)]
        self.barrier()
        return found

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """The same for the root alone."""
        found = self.allgather(value)
        return found if self.rank == root else None

    def Allreduce(self, sent: Any, received: np.ndarray) -> None:
        """The sum of what all ranks have in `received`; `sent` is MPI.IN_PLACE."""
        received[:] = sum(self.allgather(received.copy()))

    def Alltoall(self, sent: np.ndarray, received: np.ndarray) -> None:
        """One item from each rank to each."""
        received[:] = [given[self.rank] for given in self.allgather(sent.copy())]

    def Alltoallv(self, sent: list[np.ndarray], received: list[np.ndarray]) -> None:
        """Some items from each rank to each: [items, how many go to, or come from, each rank]."""
        given = self.allgather([part.copy() for part in np.split(sent[0], np.cumsum(sent[1])[:-1])])
        assert [len(parts[self.rank]) for parts in given] == received[1].tolist()
        received[0][:] = np.concatenate([parts[self.rank] for parts in given])


def run(work: Callable[[], None], ranks: int) -> None:
    """Call `work` in every rank; in it `mpi.world()` is the rank's communicator. Raises the first error."""
    shared: dict[str, Any] = {}
    barrier, here = threading.Barrier(ranks), threading.local()

    def one(rank: int) -> None:
        here.comm = Comm(rank, barrier, shared)
        try:
            work()
        except BaseException:
            barrier.abort()  # the others would wait
            raise

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(ranks) as pool:
        patch.setattr(mpi, "world", lambda: here.comm)
        for done in [pool.submit(one, rank) for rank in range(ranks)]:
            done.result()
