"""What one task needs of a machine."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Resources:
    """What one task needs. `hours` is its time limit; `expected_hours` is what `plan` adds up.

    A task runs on one node, unless its stage uses MPI. Then it has `ranks` processes, `cpus` and `memory_gb` are those
    of one rank, and the cluster file says how many ranks fit on a node. A stage that torchrun starts has a process for
    each GPU (for each rank without GPUs), and they share the `cpus`.
    tokens: how many tokens the task works on; lib/plans/rates.py computes hours and memory from it.
    network: whether it sends requests to other machines, which not every node can.
    """

    cpus: int = 1
    memory_gb: float | None = None
    gpus: int = 0
    ranks: int = 1
    hours: float = 1.0
    expected_hours: float = 0.0
    tokens: float | None = None
    mpi: bool = False  # set by the stage, not in YAML
    torchrun: bool = False  # set by the stage, not in YAML
    network: bool = False  # set by the stage, not in YAML

    @property
    def cores(self) -> int:
        """The number of cores that the task keeps busy."""
        return self.cpus * self.ranks if self.mpi else self.cpus

    @property
    def processes(self) -> int:
        """How many processes run the task together."""
        if self.mpi:
            return self.ranks
        return (self.gpus or self.ranks) if self.torchrun else 1

    @property
    def threads(self) -> int:
        """How many threads each of its processes has: those of torchrun share the cores."""
        return self.cpus if self.mpi else max(1, self.cpus // self.processes)


class Excess(NamedTuple):
    """More than there is: who asks for how much of what, and a sentence that says so and what to do."""

    who: str
    key: str
    asked: float
    text: str
