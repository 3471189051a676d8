"""What one task asks of a machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What one task needs. `hours` is its limit, `expected_hours` what `plan` adds up.

    All on one node, but for the `ranks` of an MPI stage: cpus and memory_gb are of one rank there, and the cluster
    says how many ranks a node takes. `tokens`: how many the task works on, from which lib/plans/rates.py computes the
    rest.
    """

    cpus: int = 1
    memory_gb: float | None = None
    gpus: int = 0
    ranks: int = 1
    hours: float = 1.0
    expected_hours: float = 0.0
    tokens: float | None = None
    mpi: bool = False  # said by the stage

    @property
    def cores(self) -> int:
        """The cores it keeps busy."""
        return self.cpus * self.ranks if self.mpi else self.cpus
