"""Writes one chunk file from the token blocks of its input files. All ranks write parts; none holds all of it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lib.base import blocks, files, hdf5, mpi, places
from lib.corpus import chunks
from lib.corpus.filling import put, put_checksums

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

CHECKED = {"tokens": "checksums", "offsets": "offsets_checksums"}


class Size(NamedTuple):
    """The contents of one block. original: 1 if the tokenizer itself encoded it, 0 if the faster encoder did."""

    tokens: int
    documents: int
    original: int


def assemble(
    path: Path, parts: Sequence[Path], dtype: np.dtype, attributes: Mapping[str, Any], comm: "Intracomm"
) -> None:
    """Join `parts` (blocks with `tokens`, `lengths` of documents, `original`) in order and store them as chunk `path`.

    Adds the attributes n_tokens, n_documents and fallback_files. Raises TesseraError naming a damaged block.
    """
    sizes = _sizes(parts, comm)
    tokens, documents, originals = (sum(column) for column in zip(*sizes))
    counts = {"n_tokens": tokens, "n_documents": documents, "fallback_files": originals}
    layout = {"tokens": (tokens, np.dtype(dtype)), "offsets": (documents + 1, np.dtype("<u8"))}
    layout |= {sums: (-(-layout[name][0] // chunks.CHECKED_TOKENS), np.dtype("<u8")) for name, sums in CHECKED.items()}
    temporary = places.private(path, "assembly")
    starts = comm.bcast(hdf5.reserve(temporary, layout, {**attributes, **counts}) if comm.rank == 0 else None)
    with open(temporary, "r+b", buffering=0) as file:
        _copy(file.fileno(), parts, sizes, starts, comm)
        os.fsync(file.fileno())
        comm.barrier()
        for name, sums in CHECKED.items():
            put_checksums(file.fileno(), starts.get(name, 0), *layout[name], starts.get(sums, 0), comm)
    comm.barrier()
    if comm.rank == 0:
        files.publish(temporary, path)
    comm.barrier()


def _sizes(parts: Sequence[Path], comm: "Intracomm") -> list[Size]:
    shares = comm.allgather([_size(part) for part in mpi.share(parts, comm)])
    return [shares[index % comm.size][index // comm.size] for index in range(len(parts))]


def _size(part: Path) -> Size:
    blocks.check(part)
    with hdf5.opened(part) as file:
        return Size(len(file["tokens"]), len(file["lengths"]), int(file["original"][0]))


def _copy(file: int, parts: Sequence[Path], sizes: list[Size], starts: dict[str, int], comm: "Intracomm") -> None:
    first_token = list(accumulate((size.tokens for size in sizes), initial=0))
    first_document = list(accumulate((size.documents for size in sizes), initial=0))
    if comm.rank == 0:
        put(file, np.zeros(1, "<u8"), starts["offsets"])
    for index in mpi.share(range(len(parts)), comm):
        with hdf5.opened(parts[index]) as part:
            _put_all(file, hdf5.slices(part["tokens"]), starts.get("tokens", 0), first_token[index])
            ends = _ends(hdf5.slices(part["lengths"]), first_token[index])
            _put_all(file, ends, starts["offsets"], first_document[index] + 1)


def _ends(lengths: Iterator[np.ndarray], start: int) -> Iterator[np.ndarray]:
    for part in lengths:
        ends = np.cumsum(part, dtype=np.uint64) + np.uint64(start)
        start = int(ends[-1])
        yield ends


def _put_all(file: int, arrays: Iterator[np.ndarray], place: int, first: int) -> None:
    for array in arrays:
        put(file, array, place + first * array.itemsize)
        first += len(array)
