"""Counting over all chunks of a corpus, by all ranks: blocks of text (or of queries), each stored whole, summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib import blocks, chunks, counting, hdf5, suffix_order
from lib.chunks import Chunk
from lib.errors import TesseraError

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

BLOCK_TOKENS = 1 << 26  # a block takes a fraction of a second; SlimPajama has 10,000
CHECKED_AT_ONCE = 4 * chunks.CHECKED_TOKENS  # checked and scanned while in memory
USUAL_DEPTH = 1024  # of an array that does not say
QUERIES_AT_ONCE = 1 << 12  # of one block of binary searches

Ranges = Mapping[str, tuple[int, int, int]]  # name of a block -> index of the chunk, start, stop


@dataclass(frozen=True)
class SuffixArray:
    """One open suffix array. positions: read-only memory map, uint32 or uint64, sorted by the first `depth` tokens."""

    path: Path
    positions: np.ndarray
    depth: int
    checksums: np.ndarray | None


def check_queries(queries: np.ndarray, corpus: Sequence[Chunk], source: Path) -> None:
    """Raise TesseraError naming `source` and the chunk for queries that are none, or ids beyond a vocabulary."""
    for chunk in corpus:
        try:
            counting.check_queries(queries, chunk.vocab_size)
        except TesseraError as error:
            raise TesseraError(f"{source}: {error} (corpus: {chunk.path})") from error


def text_ranges(corpus: Sequence[Chunk], size: int = BLOCK_TOKENS, prefix: str = "") -> Ranges:
    """The tokens of every chunk in blocks of `size`."""
    return _named(((row, chunk.n_tokens) for row, chunk in enumerate(corpus)), size, prefix)


def scan(
    folder: Path, ranges: Ranges, corpus: Sequence[Chunk], queries: np.ndarray, comm: "Intracomm"
) -> np.ndarray | None:
    """Occurrences of every query in every chunk by one pass over `ranges`: int64 (queries, chunks), on rank 0 only.

    Every token is checked against vocabulary and checksums as it is read.
    """
    indices = {dtype: counting.prepare(queries, dtype) for dtype in sorted({chunk.tokens.dtype for chunk in corpus})}

    def work(name: str) -> dict[str, np.ndarray]:
        row, start, stop = ranges[name]
        counts = np.zeros(len(queries), np.int64)
        for low, high in blocks.ranges(start, stop, CHECKED_AT_ONCE):
            chunks.check(corpus[row], low, high)
            counts += counting.scan(
                indices[corpus[row].tokens.dtype], corpus[row].tokens, corpus[row].offsets, low, high
            )
        return _sparse(counts, 0)

    blocks.run(folder, list(ranges), work, comm, "blocks of text")
    return _sum(folder, ranges, (len(queries), len(corpus))) if comm.rank == 0 else None


def search(
    folder: Path, corpus: Sequence[Chunk], arrays: Sequence[SuffixArray], queries: np.ndarray, comm: "Intracomm"
) -> np.ndarray | None:
    """The same counts by binary search, blocks of queries at once: int64 (queries, chunks), on rank 0 only."""
    ranges = _named(((row, len(queries)) for row in range(len(corpus))), QUERIES_AT_ONCE, "queries-")

    def work(name: str) -> dict[str, np.ndarray]:
        row, start, stop = ranges[name]
        chunk, array = corpus[row], arrays[row]
        try:
            counts = counting.search(queries[start:stop], chunk.tokens, chunk.offsets, array.positions, array.depth)
        except TesseraError as error:
            raise TesseraError(f"{array.path}: {error}") from error
        return _sparse(counts, start)

    blocks.run(folder, list(ranges), work, comm, "blocks of queries")
    return _sum(folder, ranges, (len(queries), len(corpus))) if comm.rank == 0 else None


def verify(
    folder: Path, ranges: Ranges, corpus: Sequence[Chunk], arrays: Sequence[SuffixArray], comm: "Intracomm"
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

    blocks.run(folder, list(ranges), work, comm, "blocks checked")


def open_suffix_array(path: Path, chunk: Chunk) -> SuffixArray:
    """The suffix array of one chunk. Raises TesseraError when it is that of another text, or no such file."""
    with hdf5.opened(path) as file:
        if "positions" not in file:
            raise TesseraError(f"{path}: no dataset 'positions' (has: {', '.join(sorted(file)) or 'nothing'})")
        attributes: dict[str, Any] = dict(file.attrs)
        positions = chunks.memmap(path, file["positions"])
        checksums = file["checksums"][()] if "checksums" in file else None
    n_tokens, depth = int(attributes.get("n_tokens", len(positions))), int(attributes.get("depth", USUAL_DEPTH))
    if n_tokens != chunk.n_tokens or len(positions) != n_tokens:
        raise TesseraError(
            f"{path}: a suffix array of {n_tokens} tokens ({len(positions)} entries), but {chunk.path} has "
            f"{chunk.n_tokens}; give the arrays in the order of the corpus"
        )
    if attributes.get("tokens_digest", own := chunks.digest(chunk)) != own:
        raise TesseraError(f"{path}: made of another text than {chunk.path}; give the array of this chunk")
    if depth < 1 or positions.dtype.kind not in "ui":
        raise TesseraError(f"{path}: {positions.dtype} sorted by {depth} tokens; integers, by at least 1, are wanted")
    return SuffixArray(path, positions, depth, checksums)


def check_array(array: SuffixArray, chunk: Chunk, start: int, stop: int) -> None:
    """Compare the checksums that cover entries start .. stop - 1; without any, their order with the text of `chunk`.

    Raises TesseraError naming the file.
    """
    if array.checksums is None:
        return _check_order(array, chunk, start, stop)
    first, last = start // chunks.CHECKED_TOKENS, -(-stop // chunks.CHECKED_TOKENS)
    if (chunks.checksums(array.positions, first, last) != array.checksums[first:last]).any():
        raise TesseraError(
            f"{array.path}: entries {start} to {stop} are not what was written (checksum); make it again"
        )
    return None


def _check_order(array: SuffixArray, chunk: Chunk, start: int, stop: int) -> None:
    wrong = suffix_order.first_out_of_order(chunk.tokens, array.positions, array.depth, start, stop)
    if wrong is not None:
        raise TesseraError(
            f"{array.path}: entry {wrong} is {array.positions[wrong]}, no position in {chunk.path}, or not the next "
            f"one by {array.depth} tokens; make the array again, or say its depth in the attribute `depth`"
        )


def _named(sizes: Any, size: int, prefix: str) -> Ranges:
    return {
        f"{prefix}{row:02d}-{start:012d}-{stop:012d}": (row, start, stop)
        for row, total in sizes
        for start, stop in blocks.ranges(0, total, size)
    }


def _sparse(counts: np.ndarray, start: int) -> dict[str, np.ndarray]:
    rows = np.flatnonzero(counts)
    return {"rows": rows + start, "counts": counts[rows]}


def _sum(folder: Path, ranges: Ranges, shape: tuple[int, int]) -> np.ndarray:
    counts = np.zeros(shape, np.int64)
    for name, (chunk, _, _) in ranges.items():
        block = blocks.read(folder, name)
        counts[block["rows"], chunk] += block["counts"]
    return counts
