"""Blocks: a stage's work in fixed pieces, each stored whole, so that any number of ranks can resume it.

A block is the file `<folder>/<name>.h5`. Its name says which part of the work it is (a range, never a rank), so it
stays valid when the number of ranks changes.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from lib.base import files, hdf5, mpi
from lib.base.errors import TesseraError

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

OWNER = "owner"
PROGRESS_SECONDS = 10.0  # between two lines of progress

Arrays = Mapping[str, np.ndarray]


def claim(folder: Path, digest: str) -> None:
    """Reserve `folder` for the blocks of task `digest`; blocks that another task left there are removed."""
    owner = folder / OWNER
    if folder.exists() and not (owner.is_file() and owner.read_text(encoding="utf-8") == digest):
        shutil.rmtree(folder)
    if not folder.exists():
        files.write_bytes(owner, digest.encode())


def file(folder: Path, name: str) -> Path:
    """The file of the block `name`."""
    return folder / f"{name}.h5"


def missing(folder: Path, names: Sequence[str]) -> list[str]:
    """The blocks that do not exist yet, in the order given."""
    there = {path.stem for path in folder.glob("*.h5")} if folder.is_dir() else set()
    return [name for name in names if name not in there]


def run(
    folder: Path, names: Sequence[str], work: Callable[[str], Arrays], comm: "Intracomm", what: str = "blocks"
) -> None:
    """Compute the missing blocks on all ranks and wait for them. `work` returns the datasets of one block."""
    make_all(folder, names, lambda name: write(file(folder, name), work(name)), comm, what)


def make_all(
    folder: Path, names: Sequence[str], make: Callable[[str], None], comm: "Intracomm", what: str = "blocks"
) -> None:
    """Like `run`, for blocks that do not fit in memory: `make` writes one as `file(folder, name)`, whole or not at all.

    Every rank prints a line of progress from time to time.
    Raises TesseraError when another rank's block is missing at the end (its node may have lost the file system).
    """
    todo = mpi.share(comm.bcast(missing(folder, names)), comm)
    reported = time.monotonic()
    for count, name in enumerate(todo):
        make(name)
        if time.monotonic() - reported >= PROGRESS_SECONDS or count + 1 == len(todo):
            reported = time.monotonic()
            print(f"rank {comm.rank}: {count + 1} of {len(todo)} {what}", flush=True)
    comm.barrier()
    if comm.rank == 0 and (lost := missing(folder, names)):
        raise TesseraError(f"{file(folder, lost[0])}: missing although its rank has ended; run the command again")


def write(path: Path, arrays: Arrays) -> None:
    """One block, whole or absent."""
    with hdf5.create(path) as opened:
        for name, array in arrays.items():
            hdf5.write(opened, name, array)


def read(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The datasets of one block. Raises TesseraError naming the file if it is damaged."""
    with hdf5.opened(file(folder, name)) as opened:
        return {key: opened[key][()] for key in opened if isinstance(opened[key], h5py.Dataset)}


def ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """[start, stop) cut into pieces of `size` (the last one shorter), as Python ints."""
    return [(low, min(low + size, stop)) for low in range(start, stop, size)]
