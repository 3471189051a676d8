"""Traces many texts in all chunks of a corpus, and makes the tables of searches: ranks share stored blocks.

A block is some texts in one chunk. First comes what each chunk has of them (longest runs, near-duplicates), then, since
a run counts only where no chunk has a longer one, how often each run stands in every chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lib.base import blocks, hdf5, mpi
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.suffixes.opened import SuffixArray, check_array
from lib.corpus.text_blocks import TextRanges, named_ranges, sizes
from lib.corpus.trace import index, near, runs
from lib.corpus.trace.index import STEP, Index
from lib.corpus.trace.runs import Runs

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

CHECKED_AT_ONCE = 4 * chunks.CHECKED_TOKENS
BEGIN, COUNTS = "longest-", "counts-"  # begin the names of the blocks of the two passes
NEAR = ("start", "length", "position", "distance")  # columns, beside the text and the chunk

Texts = Sequence[NDArray[np.int64]]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class LookedFor:
    """As in the configuration of the stage `trace`."""

    min_run: int
    most_places: int
    near: bool
    window: int
    max_edits: int | None
    block_texts: int


@dataclass(frozen=True)
class Traces:
    """What was found. tokens, longest: of each text, (n,); runs, places, near: columns by name."""

    tokens: NDArray[np.int64]
    longest: NDArray[np.int64]
    runs: Columns
    places: Columns
    near: Columns


def make_table(path: Path, folder: Path, chunk: Chunk, array: SuffixArray, comm: "Intracomm") -> None:
    """Write the table of one chunk to `path` (by rank 0), all ranks together; text and array are compared first."""
    for start, stop in mpi.share(blocks.ranges(0, chunk.n_tokens, CHECKED_AT_ONCE), comm):
        chunks.check(chunk, start, stop)
        check_array(array, chunk, start, stop)
    comm.barrier()
    total = -(-chunk.n_tokens // STEP)
    parts = {f"{low:012d}-{high:012d}": (low, high) for low, high in blocks.ranges(0, total, chunks.CHECKED_TOKENS)}
    lengths = {name: high - low for name, (low, high) in parts.items()}
    blocks.run(folder, lengths, lambda name: {"keys": index.table(chunk, array, *parts[name])}, comm, "keys")
    if comm.rank == 0:
        _write_table(path, folder, list(parts), total, chunk, array)


def _write_table(path: Path, folder: Path, parts: list[str], total: int, chunk: Chunk, array: SuffixArray) -> None:
    """Block by block, each of which has one checksum, so that no more than one is in memory."""
    with hdf5.create(path) as file:
        keys = index.reserve(file, total)
        sums = []
        for row, name in enumerate(parts):
            part = blocks.read(folder, name)["keys"]
            keys[row * chunks.CHECKED_TOKENS : row * chunks.CHECKED_TOKENS + len(part)] = part
            sums.append(chunks.checksums(part))
        index.describe(file, chunk, array, np.concatenate([np.zeros(0, "<u8"), *sums]))


def trace(
    folder: Path, corpus: Sequence[Chunk], indices: Sequence[Index], texts: Texts, wanted: LookedFor, comm: "Intracomm"
) -> Traces | None:
    """Runs, places and near-duplicates of texts (ids of each); on rank 0 only."""
    rows = [(row, len(texts)) for row in range(len(corpus))]
    ranges, counted = (named_ranges(rows, wanted.block_texts, name) for name in (BEGIN, COUNTS))

    def begin(name: str) -> Columns:
        row, start, stop = ranges[name]
        return _in_chunk(corpus[row], indices[row], texts[start:stop], wanted)

    def count(name: str) -> Columns:
        row, start, stop = counted[name]
        return _count(indices[row], texts[start:stop], _runs(folder, ranges, texts, start, stop), wanted.most_places)

    blocks.run(folder, sizes(ranges), begin, comm, "texts")
    blocks.run(folder, sizes(counted), count, comm, "texts")
    return _joined(folder, ranges, counted, corpus, texts, wanted) if comm.rank == 0 else None


def _in_chunk(chunk: Chunk, one: Index, texts: Texts, wanted: LookedFor) -> Columns:
    """The longest run from every token of the texts, one text behind another, and their near-duplicates."""
    longest = [runs.longest(one, ids, wanted.min_run) for ids in texts]
    found: Columns = {"longest": np.concatenate([np.zeros(0, np.int64), *longest])}
    if wanted.near:
        hits = near.of_queries(one, chunk.tokens, texts, wanted.window, wanted.max_edits)
        found |= {f"near_{name}": getattr(hits, name) for name in ("query", *NEAR)}
    return found


def _runs(folder: Path, ranges: TextRanges, texts: Texts, start: int, stop: int) -> list[Runs]:
    """The maximal runs over all chunks, of the texts of one block."""
    names = [name for name, (_, low, high) in ranges.items() if (low, high) == (start, stop)]
    longest = np.maximum.reduce([blocks.read(folder, name)["longest"] for name in names])
    bounds = np.cumsum([len(ids) for ids in texts[start:stop]])[:-1]
    return [runs.maximal(each) for each in np.split(longest, bounds)]


def _count(one: Index, texts: Texts, found: Sequence[Runs], most: int) -> Columns:
    """How often each run of the texts stands in one chunk, whether that is exact, and its first places."""
    each = [
        runs.occurrences(one, ids[start : start + length], most)
        for ids, of_text in zip(texts, found)
        for start, length in zip(*of_text)
    ]
    return {
        "count": np.array([run.count for run in each], np.int64),
        "exact": np.array([run.exact for run in each], bool),
        "places": np.array([len(run.positions) for run in each], np.int64),
        "positions": np.concatenate([np.zeros(0, np.int64), *(run.positions for run in each)]),
    }


def _joined(
    folder: Path, ranges: TextRanges, counted: TextRanges, corpus: Sequence[Chunk], texts: Texts, wanted: LookedFor
) -> Traces:
    """What the blocks hold, in the order of the texts."""
    starts = list(dict.fromkeys((start, stop) for _, start, stop in ranges.values()))
    found = [one for start, stop in starts for one in _runs(folder, ranges, texts, start, stop)]
    columns = _run_columns(found)
    places = _counted(folder, counted, columns, len(corpus))
    return Traces(
        tokens=np.array([len(ids) for ids in texts], np.int64),
        longest=np.array([one.length.max(initial=0) for one in found], np.int64),
        runs=columns,
        places=_with_documents(places, corpus),
        near=_near(folder, ranges) if wanted.near else {},
    )


def _run_columns(found: Sequence[Runs]) -> Columns:
    text = np.repeat(np.arange(len(found)), [len(one.start) for one in found])
    start, length = (np.concatenate([np.zeros(0, np.int64), *column]) for column in zip(*found))
    return {"text": text, "start": start, "length": length}


def _counted(folder: Path, counted: TextRanges, columns: Columns, n_chunks: int) -> Columns:
    """Add `count` and `exact` over all chunks to the columns of the runs; returns run, chunk and position of places."""
    count, exact = np.zeros(len(columns["text"]), np.int64), np.ones(len(columns["text"]), bool)
    parts = []
    for name, (chunk, start, stop) in counted.items():
        block = blocks.read(folder, name)
        rows = np.arange(*np.searchsorted(columns["text"], [start, stop]))
        count[rows] += block["count"]
        exact[rows] &= block["exact"]
        run = np.repeat(rows, block["places"])
        parts.append(np.array([run, np.full(len(run), chunk), block["positions"]]))
    columns |= {"count": count, "exact": exact}
    places = np.concatenate(parts, axis=1)
    return dict(zip(("run", "chunk", "position"), places[:, np.lexsort(places[::-1])]))


def _with_documents(places: Columns, corpus: Sequence[Chunk]) -> Columns:
    """Add the document of its chunk, and the token of that document, at which each place begins."""
    document, token = (np.zeros(len(places["run"]), np.int64) for _ in range(2))
    for row, chunk in enumerate(corpus):
        here = np.flatnonzero(places["chunk"] == row)
        document[here] = np.searchsorted(chunk.offsets, places["position"][here], side="right") - 1
        token[here] = places["position"][here] - chunk.offsets[document[here]].astype(np.int64)
    return {**places, "document": document, "token": token}


def _near(folder: Path, ranges: TextRanges) -> Columns:
    parts = []
    for name, (chunk, start, _) in ranges.items():
        block = blocks.read(folder, name)
        text = block["near_query"] + start
        parts.append(np.array([text, np.full(len(text), chunk), *(block[f"near_{column}"] for column in NEAR)]))
    columns = dict(zip(("text", "chunk", *NEAR), np.concatenate(parts, axis=1)))
    order = np.lexsort([columns[name] for name in ("position", "chunk", "start", "text")])
    return {name: column[order] for name, column in columns.items()}
