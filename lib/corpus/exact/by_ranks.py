"""Finds the exact duplicates of one chunk: ranks share the blocks of its suffix array.

A class of equal windows belongs to the block in which it begins, however far it reaches. So every class is seen once,
and neither blocks nor ranks change the result.
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from lib.base import blocks, hdf5, mpi
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.exact import groups
from lib.corpus.suffixes import opened
from lib.corpus.suffixes.opened import SuffixArray
from lib.corpus.suffixes.sorting import Text, as_text

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm


def open_array(path: Path, chunk: Chunk, length: int) -> SuffixArray:
    """The suffix array of `chunk`. Raises TesseraError when it belongs to another text, or is sorted too shallowly."""
    array = opened.open_suffix_array(path, chunk)
    if array.depth < length:
        raise TesseraError(
            f"{path}: sorted by {array.depth} tokens only, so equal windows of length {length} need not be neighbours; "
            f"lower `length`, or make the array with `depth: {length}` or more"
        )
    return array


def find(
    path: Path, folder: Path, chunk: Chunk, array: SuffixArray, length: int, block_entries: int, comm: "Intracomm"
) -> None:
    """Write `path` (by rank 0): all groups of equal windows of `length` tokens inside single documents of `chunk`.

    Raises TesseraError for a text or an array that is damaged, or an array of another text.
    """
    ranges = {
        f"{start:012d}-{stop:012d}": (start, stop) for start, stop in blocks.ranges(0, chunk.n_tokens, block_entries)
    }
    for start, stop in mpi.share(list(ranges.values()), comm):  # first: every block reads text from all over the chunk
        chunks.check(chunk, start, stop)
    text = as_text(chunk.tokens)

    def work(name: str) -> dict[str, np.ndarray]:
        found = groups.groups(*_classes(text, chunk, array, *ranges[name], length), chunk.offsets, length)
        return {"positions": found.positions, "counts": found.counts.astype("<u8")}

    sizes = {name: stop - start for name, (start, stop) in ranges.items()}
    blocks.run(folder, sizes, work, comm, "suffixes")
    if comm.rank == 0:
        _write(path, folder, list(ranges), array.positions.dtype, length, chunk)


def _classes(
    text: Text, chunk: Chunk, array: SuffixArray, start: int, stop: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The entries of the classes that begin in start .. stop - 1, and which of them equal the one before."""
    first = max(start - 1, 0)
    entries, same = _read(text, chunk, array, first, stop, length)
    if start and same.all():  # all of it belongs to a class that began before
        return entries[:0], same[:0]
    skipped = 1 + int(np.argmin(same)) if start else 0
    found, equal, size = [entries[skipped:]], [same[skipped:]], stop - start
    while stop < text.n_tokens:
        entries, same = _read(text, chunk, array, stop - 1, min(stop + size, text.n_tokens), length)
        more = int(np.argmin(same)) if not same.all() else len(same)
        found.append(entries[1 : 1 + more])
        equal.append(same[:more])
        if more < len(same):
            break
        stop += more
    return np.concatenate(found), np.concatenate(equal)


def _read(
    text: Text, chunk: Chunk, array: SuffixArray, start: int, stop: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    opened.check_array(array, chunk, start, stop)
    entries = np.array(array.positions[start:stop])
    if len(entries) and int(entries.max()) >= text.n_tokens:
        wrong = start + int(np.argmax(entries))
        raise TesseraError(
            f"{array.path}: entry {wrong} is {int(array.positions[wrong])}, not a position in {text.n_tokens} tokens; "
            "the array is damaged, or belongs to another text; make it again"
        )
    return entries, groups.same_as_previous(text, entries, length)


def _write(path: Path, folder: Path, parts: list[str], dtype: np.dtype, length: int, chunk: Chunk) -> None:
    """Write groups.h5 block by block, so that no more than one is in memory."""
    members, total = 0, 0
    histogram: Counter[int] = Counter()
    for part in parts:
        counts = blocks.read(folder, part)["counts"]
        members, total = members + int(counts.sum()), total + len(counts)
        histogram.update(dict(zip(*(column.tolist() for column in np.unique(counts, return_counts=True)))))
    with hdf5.create(path) as file:
        file.attrs.update(
            length=length,
            n_tokens=chunk.n_tokens,
            tokens_digest=chunks.digest(chunk),
            n_groups=total,
            n_members=members,
        )
        _write_groups(file, folder, parts, {"positions": (members, dtype), "counts": (total, np.dtype("<u8"))})
        counted = np.array(sorted(histogram.items()), dtype="<u8").reshape(-1, 2)
        hdf5.write(file, "histogram/count", counted[:, 0])
        hdf5.write(file, "histogram/groups", counted[:, 1])
    print(f"{total} groups of {members} equal windows of {length} tokens in {chunk.n_tokens} tokens")


def _write_groups(file: h5py.File, folder: Path, parts: list[str], wanted: dict[str, tuple[int, np.dtype]]) -> None:
    wanted = {**wanted, "group_offsets": (wanted["counts"][0] + 1, np.dtype("<u8"))}
    for name, (rows, dtype) in wanted.items():  # contiguous: memory-mapped by those who draw a few of many groups
        file.create_dataset(name, (rows,), dtype, track_times=False).attrs["rows"] = rows
    file["group_offsets"][0] = 0
    member, group = 0, 0
    for part in parts:
        block = blocks.read(folder, part)
        stop = group + len(block["counts"])
        file["positions"][member : member + len(block["positions"])] = block["positions"]
        file["counts"][group:stop] = block["counts"]
        file["group_offsets"][group + 1 : stop + 1] = np.cumsum(block["counts"], dtype=np.uint64) + np.uint64(member)
        member, group = member + len(block["positions"]), stop
