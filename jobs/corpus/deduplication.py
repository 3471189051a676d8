"""Find the longest n-gram that every near-duplicate shares with its target.

    python -m jobs deduplication --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs deduplication --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # the same list that near_duplicates had
      targets: DIR/targets.h5
      near_duplicates: DIR/near_duplicates.h5

Result deduplication.h5: groups `hamming` and `levenshtein`, each with `longest_common` (uint16, tokens), one for each
row of the same group of near_duplicates.h5. A near-duplicate survives n-gram deduplication if and only if that number
is less than n.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import blocks, hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus", "targets", "near_duplicates")
LISTS = ("corpus",)
METRICS = ("hamming", "levenshtein")
COLUMNS = ("target", "chunk", "position", "distance")


@dataclass(frozen=True)
class Config:
    """How the work is cut.

    block_rows: near-duplicates in one block; a stopped run continues with the missing blocks
    """

    block_rows: int = execution(1 << 16)

    def __post_init__(self) -> None:
        """Raise ValueError for empty blocks."""
        at_least(1, block_rows=self.block_rows)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Compare block by block; rank 0 joins the blocks."""
    corpus = chunks.open_chunks(inputs["corpus"])
    targets = hdf5.read(store.find(inputs["targets"], places.TARGETS), "tokens")
    path = store.find(inputs["near_duplicates"], places.NEAR_DUPLICATES)
    rows = {metric: {name: hdf5.read(path, f"{metric}/{name}") for name in COLUMNS} for metric in METRICS}
    for metric in METRICS:
        _check(rows[metric], f"{path}: {metric}", corpus, targets)
    ranges = {
        f"{metric}-{start:012d}-{stop:012d}": (metric, start, stop)
        for metric in METRICS
        for start, stop in blocks.ranges(0, len(rows[metric]["target"]), config.block_rows)
    }

    def work(name: str) -> dict[str, np.ndarray]:
        metric, start, stop = ranges[name]
        part = {column: values[start:stop] for column, values in rows[metric].items()}
        return {"longest_common": _longest_common(part, f"{path}: {metric}", start, corpus, targets)}

    comm = mpi.world()
    for metric in METRICS:
        place = (rows[metric]["chunk"], rows[metric]["position"], targets.shape[1])
        chunks.check_windows(corpus, *place, comm.rank, comm.size)
    sizes = {name: stop - start for name, (_, start, stop) in ranges.items()}
    blocks.run(out / places.BLOCKS, sizes, work, comm, "near-duplicates")
    if comm.rank == 0:
        _write(out, ranges)


def _check(rows: Mapping[str, np.ndarray], where: str, corpus: Sequence, targets: np.ndarray) -> None:
    """Raise TesseraError for a row whose target, chunk or window does not exist."""
    if targets.ndim != 2:
        raise TesseraError(f"{where}: the targets have the shape {targets.shape}; it must be (n, length)")
    if len({len(values) for values in rows.values()}) > 1:
        raise TesseraError(f"{where}: its columns differ in length; make the near-duplicates again")
    ends = np.array([chunk.n_tokens for chunk in corpus]) - targets.shape[1]
    wrong = (rows["target"] >= len(targets)) | (rows["chunk"] >= len(corpus))
    if not wrong.any():
        wrong = rows["position"].astype(np.int64) > ends[rows["chunk"].astype(np.int64)]
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        found = ", ".join(f"{name} {values[row]}" for name, values in rows.items())
        raise TesseraError(
            f"{where}, row {row}: {found}: there is no such target, chunk or window; give the corpus and the targets "
            "that the near-duplicates were made from"
        )


def _longest_common(
    rows: Mapping[str, np.ndarray], where: str, start: int, corpus: Sequence, targets: np.ndarray
) -> np.ndarray:
    from lib.corpus.near import common_ngrams

    originals = targets[rows["target"].astype(np.int64)].astype("<u4")
    windows = chunks.windows(corpus, rows["chunk"], rows["position"], targets.shape[1]).astype("<u4", copy=False)
    longest = common_ngrams.longest_common(originals, windows)
    wrong = np.flatnonzero(longest < common_ngrams.least_possible(rows["distance"], targets.shape[1]))
    if len(wrong):
        row = int(wrong[0])
        raise TesseraError(
            f"{where}, row {start + row}: the window at {rows['position'][row]} of {corpus[rows['chunk'][row]].path} "
            f"is further than {rows['distance'][row]} from target {rows['target'][row]}; give the corpus and the "
            "targets that the near-duplicates were made from"
        )
    return longest


def _write(out: Path, ranges: Mapping[str, tuple[str, int, int]]) -> None:
    found: dict[str, list[np.ndarray]] = {metric: [np.zeros(0, "<u2")] for metric in METRICS}
    for name, (metric, _, _) in ranges.items():
        found[metric].append(blocks.read(out / places.BLOCKS, name)["longest_common"])
    with hdf5.create(out / places.DEDUPLICATION) as file:
        for metric, parts in found.items():
            hdf5.write(file.create_group(metric, track_order=False), "longest_common", np.concatenate(parts))
