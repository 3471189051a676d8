"""Finds what goes from each chunk of a corpus. Memory is that of some groups, or of one segment of a chunk.

First every source (a part of the groups, or the near-duplicates) is turned into ranges, in batches that are sorted by
segment: whole documents of about SEGMENT_TOKENS tokens. Then every segment reads its ranges of all sources.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.base import blocks, hdf5, mpi, places
from lib.corpus.chunks import Chunk
from lib.corpus.cleaning import cuts_file, ranges
from lib.corpus.cleaning.ranges import Cuts, Marks, Ranges

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

SEGMENT_TOKENS = 1 << 23
COLUMNS = {"start": "<u8", "size": "<u4", "copies": "<u4", "cause": "u1"}  # of the ranges in a block
BATCHES = "batches"  # where the ranges of each segment begin in a batch, and the last ones end: (batches, segments + 1)

Sources = Mapping[str, Callable[[], Iterator[Ranges]]]  # name of a block -> its ranges, batch by batch


@dataclass(frozen=True)
class Segment:
    """Whole documents of a chunk, [first, last), and the number of the segment among all."""

    number: int
    chunk: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """Of its block."""
        return f"cuts-{self.chunk:04d}-{self.first:012d}"


def segments(corpus: Sequence[Chunk], size: int = SEGMENT_TOKENS) -> list[Segment]:
    """All documents of the corpus in segments of about `size` tokens; a longer document is in one of its own."""
    found: list[Segment] = []
    for row, chunk in enumerate(corpus):
        last = len(chunk.offsets) - 1
        edges = np.searchsorted(chunk.offsets, np.arange(size, chunk.n_tokens, size))
        bounds = np.unique([0, *edges.tolist(), last]).tolist()
        for low, high in itertools.pairwise(bounds):
            found.append(Segment(len(found), row, low, high))
    return found


def find(
    out: Path, corpus: Sequence[Chunk], sources: Sources, drop_above: float | None, size: int, comm: "Intracomm"
) -> None:
    """Write `out`/cuts-NN.h5 for every chunk. The bytes are the same for any number of ranks and size of a segment."""
    folder, listed = out / places.BLOCKS, segments(corpus, size)
    begins, by_name = _begins(listed, corpus), {segment.name: segment for segment in listed}

    def mark(name: str) -> None:
        with blocks.create(blocks.file(folder, name)) as file:
            for batch in sources[name]():
                _append(file, batch, begins, corpus)

    def cut(name: str) -> dict[str, np.ndarray]:
        segment = by_name[name]
        marks = Marks(_offsets(corpus, segment))
        for source in sources:
            _read(blocks.file(folder, source), segment.number, marks)
        return marks.cuts(drop_above)._asdict()

    blocks.make_all(folder, dict.fromkeys(sources, 1), mark, comm, "parts of the duplicates")
    tokens = {one.name: int(np.ptp(_offsets(corpus, one))) for one in listed}
    blocks.run(folder, tokens, cut, comm, "tokens")
    for row in mpi.share(range(len(corpus)), comm):
        mine = (segment for segment in listed if segment.chunk == row)
        cuts_file.write(out / places.cuts(row), corpus[row], (_placed(folder, segment) for segment in mine))
    comm.barrier()


def _offsets(corpus: Sequence[Chunk], segment: Segment) -> NDArray[np.int64]:
    return np.asarray(corpus[segment.chunk].offsets[segment.first : segment.last + 1], np.int64)


def _placed(folder: Path, segment: Segment) -> Cuts:
    cuts = Cuts(**blocks.read(folder, segment.name))
    return cuts._replace(document=cuts.document + segment.first)


def _append(file: h5py.File, batch: Ranges, begins: NDArray[np.int64], corpus: Sequence[Chunk]) -> None:
    """Add a batch, sorted by segment. begins: where each segment begins in the corpus."""
    place = _first_tokens(corpus)[batch.chunk] + batch.start
    segment = np.searchsorted(begins, place, "right") - 1  # of several that begin there, all but the last are empty
    order = np.argsort(segment, kind="stable")
    before = len(file["start"]) if "start" in file else 0
    edges = before + np.searchsorted(segment[order], np.arange(len(begins) + 1))
    hdf5.append(file, BATCHES, edges.astype("<i8")[None])
    for name, dtype in COLUMNS.items():
        hdf5.append(file, name, getattr(batch, name)[order].astype(dtype))


def _first_tokens(corpus: Sequence[Chunk]) -> NDArray[np.int64]:
    """The number of tokens before each chunk."""
    return np.cumsum([0, *(chunk.n_tokens for chunk in corpus[:-1])])


def _begins(listed: Sequence[Segment], corpus: Sequence[Chunk]) -> NDArray[np.int64]:
    """Where each segment begins in the corpus."""
    first = _first_tokens(corpus)
    return np.array([first[one.chunk] + corpus[one.chunk].offsets[one.first] for one in listed], np.int64)


def _read(path: Path, segment: int, marks: Marks) -> None:
    """Add the ranges that a block has of one segment, batch after batch."""
    with hdf5.opened(path) as file:
        if BATCHES not in file:
            return
        for low, high in file[BATCHES][:, segment : segment + 2].tolist():
            if low < high:
                marks.add(*(file[name][low:high] for name in COLUMNS))


def near_windows(columns: Mapping[str, NDArray], length: int, max_distance: int, cleaned: int) -> Ranges:
    """What goes because of near-duplicates: the windows of the cleaned chunks within `max_distance`."""
    chosen = (columns["distance"] <= max_distance) & (columns["chunk"] < cleaned)
    return ranges.of_windows(columns["chunk"][chosen], columns["position"][chosen], length)
