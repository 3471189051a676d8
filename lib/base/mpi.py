"""MPI: the ranks that run a stage together, or the one that runs it alone."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from lib.base.errors import TesseraError
from lib.base.processes import die_with_parent

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

RANKS = "TESSERA_RANKS"  # how many the launcher started
SRUN_TYPE = "TESSERA_SRUN_MPI"  # set in a job's set-up lines: what srun's --mpi= says on this cluster
VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
Item = TypeVar("Item")


def world() -> "Intracomm":
    """All ranks. Raises TesseraError when they are not as many as the launcher started."""
    from mpi4py import MPI

    started = os.environ.get(RANKS)
    if started and int(started) != MPI.COMM_WORLD.size:
        raise TesseraError(
            f"{started} ranks were started, but this one sees {MPI.COMM_WORLD.size}: the launcher and mpi4py speak "
            "different MPIs; try another `mpi:` in the cluster file (`srun --mpi=list` names them), or `make doctor`"
        )
    if any(key in os.environ for key in VARIABLES):
        die_with_parent()  # ranks outlive an mpirun that is killed
    return MPI.COMM_WORLD


def share(items: Sequence[Item], comm: "Intracomm") -> list[Item]:
    """The items that this rank works on: every size-th, so that neighbours (of like cost) go to different ranks."""
    return list(items[comm.rank :: comm.size])


def leading() -> bool:
    """Whether this process is the first rank, by the launcher's variables; true without a launcher."""
    return all(os.environ.get(key, "0") == "0" for key in VARIABLES)


def abort(code: int) -> None:
    """End every rank with exit code `code`, where there are several: they would wait for this one for ever."""
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py import MPI

    if MPI.COMM_WORLD.size > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(code)
