"""Builds the suffix array of one chunk: all ranks write into one file.

Every rank finds the ranges of the suffixes of its share of the text; then it gets, sorts and writes the suffixes of its
share of the ranges, as many at once as its memory allows. What is written and fsynced is recorded as a block that names
the entries and their checksums, so that a resume with any number of ranks and ranges of any size does the rest only.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from lib.base import blocks, files, hdf5, mpi, progress
from lib.base.errors import Damaged, TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.filling import get, put, put_checksums
from lib.corpus.suffixes.exchange import Exchange
from lib.corpus.suffixes.ranges import Ranges, choose_splitters, position_dtype, share
from lib.corpus.suffixes.sorting import as_text, sort_suffixes, suffix_keys

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

PART = "suffix_array.part"  # in the folder of blocks until it is complete
CHECKED_AT_ONCE = 4 * chunks.CHECKED_TOKENS
RECORD_SECONDS = 10.0  # between two records of what is written: each costs an fsync


def build(
    path: Path, folder: Path, chunk: Chunk, depth: int, range_tokens: int, memory_bytes: int, comm: "Intracomm"
) -> None:
    """Write `path`: `positions`, `checksums`, attributes depth, n_tokens and tokens_digest (of the chunk).

    memory_bytes: for the suffixes of one rank at a time, on top of about 300 MB. Raises TesseraError for a chunk that
    is damaged, or changes meanwhile.
    """
    stamp = comm.bcast(_stamp(chunk))
    for start, stop in mpi.share(blocks.ranges(0, chunk.n_tokens, CHECKED_AT_ONCE), comm):
        chunks.check(chunk, start, stop)
    text = as_text(chunk.tokens)
    exchange = Exchange(Ranges(text, choose_splitters(text, depth, range_tokens), depth), comm)
    dtype, total = position_dtype(chunk.n_tokens), -(-chunk.n_tokens // chunks.CHECKED_TOKENS)
    wanted = {"positions": (chunk.n_tokens, dtype), "checksums": (total, np.dtype("<u8"))}
    attributes = {"depth": depth, "n_tokens": chunk.n_tokens, "tokens_digest": chunks.digest(chunk)}
    places = comm.bcast(_begin(path, folder, wanted, attributes) if comm.rank == 0 else None)
    with open(folder / PART, "r+b", buffering=0) as file:
        _compare_recorded(file.fileno(), places.get("positions", 0), folder, dtype, comm)
        _fill(file.fileno(), places.get("positions", 0), folder, exchange, memory_bytes)
        comm.barrier()
        start, sums = places.get("positions", 0), places.get("checksums", 0)
        put_checksums(file.fileno(), start, chunk.n_tokens, dtype, sums, comm)
        os.fsync(file.fileno())
    comm.barrier()
    if comm.rank == 0:
        if _stamp(chunk) != stamp:
            _forget(folder)
            raise TesseraError(f"{chunk.path}: changed while its suffixes were sorted; leave it alone and run again")
        files.publish(folder / PART, path)
    comm.barrier()


def _stamp(chunk: Chunk) -> tuple[int, int]:
    """Changes when the chunk's file is written to: its size and time."""
    status = chunk.path.stat()
    return status.st_size, status.st_mtime_ns


def _begin(path: Path, folder: Path, wanted: dict, attributes: dict) -> dict[str, int]:
    """Where the datasets begin in the file to fill, which may be full in parts, or complete."""
    part = folder / PART
    if path.exists() and not part.exists() and folder.is_dir():
        os.replace(path, part)  # it was stopped after publishing
    if _fits(part, attributes) and _entries(folder):
        with hdf5.opened(part) as file:
            return {name: file[name].id.get_offset() for name, (length, _) in wanted.items() if length}
    _forget(folder)
    folder.mkdir(parents=True, exist_ok=True)
    places = hdf5.reserve(part, wanted, attributes)
    files.sync(part)
    return places


def _fits(part: Path, attributes: dict) -> bool:
    """Whether the file is of this text, and can be gone on with."""
    try:
        return part.exists() and hdf5.attributes(part).get("tokens_digest") == attributes["tokens_digest"]
    except Damaged as error:
        print(f"{error}; it is written again", flush=True)
        return False


def _forget(folder: Path) -> None:
    """Remove the records of what is written, which then is written again."""
    for record in blocks.names(folder):
        blocks.file(folder, record).unlink()


def _compare_recorded(file: int, place: int, folder: Path, dtype: np.dtype, comm: "Intracomm") -> None:
    """All ranks together set aside the records of entries that are not in the file as they were written."""
    for name in mpi.share(comm.bcast(blocks.names(folder)), comm):
        record = blocks.read(folder, name)
        sums = [_sum(file, place, start, stop, dtype) for start, stop in record["entries"].tolist()]
        if sums != record.get("sums", np.zeros(0)).tolist():
            files.set_aside(blocks.file(folder, name))
            print(f"{folder / PART}: damaged in what {name} records; it is written again", flush=True)
    comm.barrier()


def _sum(file: int, place: int, start: int, stop: int, dtype: np.dtype) -> int:
    hasher = xxhash.xxh3_64()
    for low, high in blocks.ranges(start, stop, CHECKED_AT_ONCE):
        hasher.update(get(file, (high - low) * dtype.itemsize, place + low * dtype.itemsize))
    return hasher.intdigest()


def _recorded(folder: Path) -> np.ndarray:
    """(n, 2): which entries of the array are written, rising and apart."""
    blocks.missing(folder, [])  # sets damaged records aside
    found = [blocks.read(folder, name)["entries"] for name in blocks.names(folder)]
    entries = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return entries[np.argsort(entries[:, 0], kind="stable")]


def _entries(folder: Path) -> int:
    """How many entries are written, those written twice counted once."""
    written, end = 0, 0
    for start, stop in _recorded(folder).tolist():
        written += max(0, stop - max(start, end))
        end = max(end, stop)
    return written


def _missing(folder: Path, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The ranges with suffixes of which not every one is recorded as written."""
    recorded = _recorded(folder)
    holes, end = [], 0
    for start, stop in [*recorded.tolist(), (int(sizes.sum()),) * 2]:
        if start > end:
            holes.append((end, start))
        end = max(end, stop)
    missing = np.zeros(len(sizes), bool)
    for low, high in holes:
        missing |= (starts < high) & (starts + sizes > low)
    return np.flatnonzero(missing & (sizes > 0))


def _fill(file: int, place: int, folder: Path, exchange: Exchange, memory_bytes: int) -> None:
    comm = exchange.comm
    starts = np.cumsum(exchange.sizes) - exchange.sizes
    todo = comm.bcast(_missing(folder, starts, exchange.sizes) if comm.rank == 0 else None)
    shares = np.full(len(starts), -1, np.int64)
    shares[todo] = share(exchange.sizes[todo], comm.size)
    room = memory_bytes // position_dtype(exchange.finder.text.n_tokens).itemsize
    total, missing, mine = (int(exchange.sizes[which].sum()) for which in (shares >= -1, shares >= 0, shares == 0))
    with progress.of_ranks(folder.parent, "suffixes", total, missing, mine, comm) as advance:
        record = _Record(file, folder, comm.rank, int((shares == comm.rank).sum()), advance)
        _sort(file, place, exchange, shares, room, record)
        record.write()


def _sort(file: int, place: int, exchange: Exchange, shares: np.ndarray, room: int, record: "_Record") -> None:
    """Sort and write this rank's ranges, pass by pass. shares: the rank of each range; room: suffixes of one pass."""
    finder, comm = exchange.finder, exchange.comm
    starts = np.cumsum(exchange.sizes) - exchange.sizes
    for owners in _passes(exchange.sizes, shares, comm.size, room):
        positions = exchange.deliver(owners)
        begin = 0
        for index in np.flatnonzero(owners == comm.rank).tolist():
            start, end = int(starts[index]), begin + int(exchange.sizes[index])
            keys = suffix_keys(finder.text, positions[begin:end], finder.depth)
            sort_suffixes(finder.text, positions[begin:end], keys, finder.depth)
            put(file, positions[begin:end], place + start * positions.itemsize)
            record.add(start, positions[begin:end])
            begin = end


def _passes(sizes: np.ndarray, owners: np.ndarray, ranks: int, room: int) -> Iterator[np.ndarray]:
    """`owners` (int64, a rank for each range, -1: nobody) cut into passes of about `room` suffixes a rank."""
    largest = int(np.bincount(owners + 1, weights=sizes, minlength=ranks + 1)[1:].max())
    count = -(-largest // max(1, room))
    for turn in range(count):
        now = np.full(len(sizes), -1, np.int64)
        for rank in range(ranks):
            now[np.array_split(np.flatnonzero(owners == rank), count)[turn]] = rank
        yield now


class _Record:
    """Records from time to time what this rank has written."""

    def __init__(self, file: int, folder: Path, rank: int, total: int, advance: progress.Advance) -> None:
        self.file, self.folder, self.rank, self.total, self.advance = file, folder, rank, total, advance
        self.count, self.recorded_at = 0, time.monotonic()
        self.pending: list[tuple[int, int]] = []
        self.sums: list[int] = []

    def add(self, start: int, positions: np.ndarray) -> None:
        """positions: the entries from `start` on, which are written."""
        self.pending.append((start, start + len(positions)))
        self.sums.append(xxhash.xxh3_64_intdigest(positions))
        self.count += 1
        self.advance(len(positions))
        if time.monotonic() - self.recorded_at >= RECORD_SECONDS:
            self.write()

    def write(self) -> None:
        if self.pending:
            os.fsync(self.file)  # the record must not outlive what it records
            name = "{:012d}-{:012d}".format(*self.pending[0])
            arrays = {"entries": np.array(self.pending, np.int64), "sums": np.array(self.sums, "<u8")}
            blocks.write(blocks.file(self.folder, name), arrays)
            print(f"rank {self.rank}: {self.count} of {self.total} ranges", flush=True)
        self.pending, self.sums, self.recorded_at = [], [], time.monotonic()
