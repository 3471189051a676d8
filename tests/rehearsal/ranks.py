"""One rank of a rehearsal: mpirun -n 2 python -m mpi4py -m tests.rehearsal.ranks FOLDER CHUNKS GB."""

import contextlib
import io
import sys
from pathlib import Path

from lib.base import mpi
from tests.rehearsal import holes, steps
from tests.rehearsal.sparse import Size


def main(folder: str, n_chunks: str, memory_gb: str) -> None:
    """Rehearse; rank 0 prints the lines. What stages print of themselves is left out."""
    size, shown = Size(chunks=int(n_chunks)), sys.stdout
    with holes.skipped(), contextlib.redirect_stdout(io.StringIO()):
        for line in steps.rehearse(Path(folder), size, float(memory_gb)):
            if mpi.world().rank == 0:
                print(line, file=shown, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
