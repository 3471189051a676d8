"""Counts queries in all chunks of a corpus, by all ranks: each block of text (or of queries) is stored, then summed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.base import blocks, mpi
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.counts import scan
from lib.corpus.suffixes.opened import SuffixArray, check_array
from lib.corpus.text_blocks import TextRanges, named_ranges, sizes

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

CHECKED_AT_ONCE = 4 * chunks.CHECKED_TOKENS  # checked and scanned while in memory
QUERIES_AT_ONCE = 1 << 12  # of one block of binary searches


def check_queries(queries: np.ndarray, corpus: Sequence[Chunk], source: Path) -> None:
    """Raise TesseraError naming `source` and the chunk for malformed queries, or ids beyond the chunk's vocabulary."""
    for chunk in corpus:
        try:
            scan.check_queries(queries, chunk.vocab_size)
        except TesseraError as error:
            raise TesseraError(f"{source}: {error} (corpus: {chunk.path})") from error


def count_by_scan(
    folder: Path, ranges: TextRanges, corpus: Sequence[Chunk], queries: np.ndarray, comm: "Intracomm"
) -> np.ndarray | None:
    """Occurrences of every query in every chunk by one pass over `ranges`: int64 (queries, chunks), on rank 0 only.

    Every token is checked against vocabulary and checksums as it is read. What an earlier attempt has counted is
    checked again, since the queries may come from there.
    """
    _check_counted(folder, ranges, corpus, comm)
    indices = {dtype: scan.prepare(queries, dtype) for dtype in sorted({chunk.tokens.dtype for chunk in corpus})}

    def work(name: str) -> dict[str, np.ndarray]:
        row, start, stop = ranges[name]
        counts = np.zeros(len(queries), np.int64)
        chunks.check(corpus[row], stop, stop + queries.shape[1] - 1)  # the last windows reach into the next block
        for low, high in blocks.ranges(start, stop, CHECKED_AT_ONCE):
            chunks.check(corpus[row], low, high)
            counts += scan.scan(indices[corpus[row].tokens.dtype], corpus[row].tokens, corpus[row].offsets, low, high)
        return _sparse(counts, 0)

    blocks.run(folder, sizes(ranges), work, comm, "tokens")
    return _sum(folder, ranges, (len(queries), len(corpus))) if comm.rank == 0 else None


def _check_counted(folder: Path, ranges: TextRanges, corpus: Sequence[Chunk], comm: "Intracomm") -> None:
    counted = comm.bcast([name for name in blocks.names(folder) if name in ranges])
    for row, start, stop in (ranges[name] for name in mpi.share(counted, comm)):
        for low, high in blocks.ranges(start, stop, CHECKED_AT_ONCE):
            chunks.check(corpus[row], low, high)


def count_by_search(
    folder: Path, corpus: Sequence[Chunk], arrays: Sequence[SuffixArray], queries: np.ndarray, comm: "Intracomm"
) -> np.ndarray | None:
    """The same counts by binary search, blocks of queries at once: int64 (queries, chunks), on rank 0 only."""
    ranges = named_ranges(((row, len(queries)) for row in range(len(corpus))), QUERIES_AT_ONCE, "queries-")

    def work(name: str) -> dict[str, np.ndarray]:
        row, start, stop = ranges[name]
        chunk, array = corpus[row], arrays[row]
        try:
            counts = scan.search(queries[start:stop], chunk.tokens, chunk.offsets, array.positions, array.depth)
        except TesseraError as error:
            raise TesseraError(f"{array.path}: {error}") from error
        return _sparse(counts, start)

    blocks.run(folder, sizes(ranges), work, comm, "queries")
    return _sum(folder, ranges, (len(queries), len(corpus))) if comm.rank == 0 else None


def verify(
    folder: Path, ranges: TextRanges, corpus: Sequence[Chunk], arrays: Sequence[SuffixArray], comm: "Intracomm"
) -> None:
    """Check every token and every entry of the arrays against what was written; `ranges` as `text_ranges` gives them.

    Raises TesseraError naming the file that is damaged.
    """

    def work(name: str) -> dict[str, np.ndarray]:
        row, start, stop = ranges[name]
        for low, high in blocks.ranges(start, stop, CHECKED_AT_ONCE):
            chunks.check(corpus[row], low, high)
            check_array(arrays[row], corpus[row], low, high)
        return {"checked": np.array([stop - start])}

    blocks.run(folder, sizes(ranges), work, comm, "tokens checked")


def _sparse(counts: np.ndarray, start: int) -> dict[str, np.ndarray]:
    rows = np.flatnonzero(counts)
    return {"rows": rows + start, "counts": counts[rows]}


def _sum(folder: Path, ranges: TextRanges, shape: tuple[int, int]) -> np.ndarray:
    counts = np.zeros(shape, np.int64)
    for name, (chunk, _, _) in ranges.items():
        block = blocks.read(folder, name)
        counts[block["rows"], chunk] += block["counts"]
    return counts
