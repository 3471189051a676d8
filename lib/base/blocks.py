"""Blocks: a stage's work in fixed pieces, each stored whole, so that any number of ranks can resume it.

A block is the file `<folder>/<name>.h5`. Its name says which part of the work it is (a range, never a rank), so it
stays valid when the number of ranks changes. Each ends with a seal (lib/base/seals.py): one that is damaged, or belongs
to another task, is found by it and made again.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from lib.base import files, hdf5, mpi, progress, seals
from lib.base.errors import Damaged, TesseraError

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

OWNER = "owner"

Arrays = Mapping[str, np.ndarray]
Sizes = Mapping[str, int]  # how much work each block is


def claim(folder: Path, digest: str) -> None:
    """Reserve `folder` for the blocks of task `digest`; blocks that another task left there are removed."""
    if folder.exists() and _owner(folder) != digest.encode():
        print(f"{folder}: blocks of another task, or a damaged file {OWNER}; they are removed", flush=True)
        shutil.rmtree(folder)
    if not folder.exists():
        files.write_bytes(folder / OWNER, digest.encode())


def file(folder: Path, name: str) -> Path:
    """The file of the block `name`."""
    return folder / f"{name}.h5"


def names(folder: Path) -> list[str]:
    """The blocks that are there, sorted."""
    return sorted(path.stem for path in folder.glob("*.h5") if not path.name.startswith("."))


def missing(folder: Path, wanted: Sequence[str]) -> list[str]:
    """The blocks that do not exist yet, in the order given. Damaged ones are set aside first."""
    _sift(folder, names(folder))
    return _absent(folder, wanted)


def missing_of_all(folder: Path, wanted: Sequence[str], comm: "Intracomm") -> list[str]:
    """The same, by all ranks together: each looks at its share of what is there."""
    _sift(folder, mpi.share(comm.bcast(names(folder)), comm))
    comm.barrier()
    return comm.bcast(_absent(folder, wanted))


def _absent(folder: Path, wanted: Sequence[str]) -> list[str]:
    there = set(names(folder))
    return [name for name in wanted if name not in there]


def _sift(folder: Path, some: Sequence[str]) -> None:
    for name in some:
        if not seals.holds(file(folder, name), _label(folder, name)):
            kept = files.set_aside(file(folder, name))
            print(f"{file(folder, name)}: damaged; it is made again (the damaged one: {kept.name})", flush=True)


def _label(folder: Path, name: str) -> str:
    return f"{_owner(folder).decode(errors='replace')} {name}"


def _owner(folder: Path) -> bytes:
    """The digest of the task that the blocks belong to, as bytes: a damaged file need not be text."""
    owner = folder / OWNER
    return owner.read_bytes() if owner.is_file() else b""


def run(folder: Path, sizes: Sizes, work: Callable[[str], Arrays], comm: "Intracomm", unit: str) -> None:
    """Compute the missing blocks on all ranks and wait for them. `work` returns the datasets of one block.

    sizes: the name of every block -> how much work it is, in `unit`.
    """
    make_all(folder, sizes, lambda name: write(file(folder, name), work(name)), comm, unit)


def make_all(folder: Path, sizes: Sizes, make: Callable[[str], None], comm: "Intracomm", unit: str) -> None:
    """Like `run`, for blocks that do not fit in memory: `make` writes one as `file(folder, name)` with `create`.

    The first rank says from time to time how far it is, and every rank how many blocks it has made.
    Raises TesseraError when another rank's block is missing at the end (its node may have lost the file system).
    """
    absent = missing_of_all(folder, list(sizes), comm)
    todo = mpi.share(absent, comm)
    total, left, mine = (sum(sizes[name] for name in some) for some in (sizes, absent, todo))
    with progress.of_ranks(folder.parent, unit, total, left, mine, comm) as advance:
        for name in todo:
            make(name)
            advance(sizes[name])
    print(f"rank {comm.rank}: {len(todo)} blocks made", flush=True)
    check_made(folder, list(sizes), comm)


def check_made(folder: Path, wanted: Sequence[str], comm: "Intracomm") -> None:
    """Wait for all ranks. Raises TesseraError when a block is missing (a rank's node may have lost the file system)."""
    comm.barrier()
    if comm.rank == 0 and (lost := _absent(folder, wanted)):
        raise TesseraError(f"{file(folder, lost[0])}: missing although its rank has ended; run the command again")


def write(path: Path, arrays: Arrays) -> None:
    """One block, whole or absent."""
    with create(path) as opened:
        for name, array in arrays.items():
            hdf5.write(opened, name, array)


def create(path: Path) -> AbstractContextManager[h5py.File]:
    """A new block, as `hdf5.create`, with its seal."""
    return hdf5.create(path, seal=_label(path.parent, path.stem))


def check(path: Path) -> None:
    """Raise Damaged unless the block is what was written."""
    if not path.is_file():
        raise TesseraError(f"{path}: missing; run the command again")
    if not seals.holds(path, _label(path.parent, path.stem)):
        raise Damaged(path, "a damaged block; run the command again, which makes it again")


def read(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The datasets of one block. Raises Damaged naming the file if it is not what was written."""
    check(file(folder, name))
    with hdf5.opened(file(folder, name)) as opened:
        return {key: opened[key][()] for key in opened if isinstance(opened[key], h5py.Dataset)}


def ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """[start, stop) cut into pieces of `size` (the last one shorter), as Python ints."""
    return [(low, min(low + size, stop)) for low in range(start, stop, size)]
