"""Fills in place, by many ranks, a file whose datasets `lib.base.hdf5.reserve` laid out."""

import errno
import os
from typing import TYPE_CHECKING

import numpy as np

from lib.base import blocks, mpi
from lib.corpus import chunks

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm


def put(file: int, array: np.ndarray, place: int) -> None:
    """Write `array` at byte `place` of the open file.

    Unlike a memory map, safe where ranks on several nodes share a page, and on a full disk.
    """
    data = memoryview(np.ascontiguousarray(array)).cast("B")
    while len(data):
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written


def get(file: int, size: int, place: int) -> bytes:
    """The `size` bytes at byte `place` of the open file; fewer where the file ends before.

    The system may give fewer at once: more than 2 GB, or after a signal on a network disk.
    """
    parts, left = [], size
    while left and (part := os.pread(file, left, place + size - left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def put_checksums(file: int, start: int, n_items: int, dtype: np.dtype, place: int, comm: "Intracomm") -> None:
    """Read the `n_items` that begin at byte `start`, all ranks together, and write their checksums at byte `place`.

    All items must have been written before, by any rank, with an fsync and a barrier after them. Raises OSError (EIO)
    if they are not there.
    """
    dtype = np.dtype(dtype)
    for low, high in mpi.share(blocks.ranges(0, n_items, chunks.CHECKED_TOKENS), comm):
        data = get(file, (high - low) * dtype.itemsize, start + low * dtype.itemsize)
        if len(data) < (high - low) * dtype.itemsize:
            raise OSError(errno.EIO, f"the disk has lost what was written: the file ends before item {high}")
        put(file, chunks.checksums(np.frombuffer(data, dtype)), place + 8 * (low // chunks.CHECKED_TOKENS))
