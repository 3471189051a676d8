"""MPI: the ranks that run a stage together; one rank if the stage is started without a launcher."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from lib.base.errors import TesseraError
from lib.base.processes import die_with_parent

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

RANKS = "TESSERA_RANKS"  # how many ranks the launcher started
SRUN_TYPE = "TESSERA_SRUN_MPI"  # set in a job's set-up lines: the value of srun's --mpi= on this cluster
VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
OF_TORCHRUN = "TORCHELASTIC_RUN_ID"
Item = TypeVar("Item")


def world() -> "Intracomm":
    """All ranks. Raises TesseraError if their number is not the one that the launcher started."""
    from mpi4py import MPI

    started = os.environ.get(RANKS)
    if started and int(started) != MPI.COMM_WORLD.size:
        raise TesseraError(
            f"{started} ranks were started, but this one sees {MPI.COMM_WORLD.size}: the launcher and mpi4py use "
            "different MPIs; try another `mpi:` in the cluster file (`srun --mpi=list` names them), or `make doctor`"
        )
    if is_rank():
        die_with_parent()  # otherwise ranks outlive an mpirun that is killed
    return MPI.COMM_WORLD


def is_rank() -> bool:
    """Whether mpirun, srun or torchrun started this process as one of several."""
    return any(key in os.environ for key in (*VARIABLES, OF_TORCHRUN))


def share(items: Sequence[Item], comm: "Intracomm") -> list[Item]:
    """The items that this rank works on: every size-th, so that neighbours, which cost about the same, are spread."""
    return list(items[comm.rank :: comm.size])


def leading() -> bool:
    """Whether this process is the first rank, by the launcher's variables. True without a launcher."""
    return all(os.environ.get(key, "0") == "0" for key in VARIABLES)


def abort(code: int) -> None:
    """If there are several ranks, end all of them with exit code `code`: they would wait for this one forever."""
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py import MPI

    if MPI.COMM_WORLD.size > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(code)
