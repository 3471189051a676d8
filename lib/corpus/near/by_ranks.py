"""Finds near-duplicates in all chunks of a corpus: ranks store what each block of text holds; rank 0 chooses from it.

Windows of different chunks never overlap, so the greedy choice of a target's windows goes chunk by chunk.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.base import blocks
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.near import scan
from lib.corpus.near.non_overlapping import choose
from lib.corpus.near.scan import METRICS, Hits, HitsByMetric, Targets
from lib.corpus.text_blocks import TextRanges, sizes

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

COLUMNS = ("target", "position", "distance")

Columns = dict[str, np.ndarray]


def check_targets(tokens: np.ndarray, length: int, corpus: Sequence[Chunk], source: Path) -> None:
    """Raise TesseraError naming `source` and row for no targets, targets of another length, or ids beyond a chunk's
    vocabulary."""
    if tokens.ndim != 2 or tokens.dtype.kind not in "ui":
        raise TesseraError(
            f"{source}: 'tokens' is {tokens.dtype} of shape {tokens.shape}; it must hold integers, n x length"
        )
    if len(tokens) == 0:
        raise TesseraError(f"{source}: no targets; choose other buckets, or a larger tolerance, and make it again")
    if tokens.shape[1] != length:
        raise TesseraError(f"{source}: targets of {tokens.shape[1]} tokens, but `length` is {length}; make them equal")
    for chunk in corpus:
        beyond = np.argwhere((tokens < 0) | (tokens >= chunk.vocab_size))
        if len(beyond):
            row, column = beyond[0]
            raise TesseraError(
                f"{source}: target {row} has the id {tokens[row, column]}, but vocab_size of {chunk.path} is "
                f"{chunk.vocab_size}; make targets and corpus with the same tokenizer"
            )


def find(
    folder: Path, ranges: TextRanges, corpus: Sequence[Chunk], targets: Targets, comm: "Intracomm"
) -> dict[str, Columns] | None:
    """The near-duplicates of every target by metric, none overlapping another; on rank 0 only.

    Columns target (uint32), chunk (uint32), position (uint64), distance (uint16), sorted by the first three.
    Every token is checked against vocabulary and checksums as it is read.
    """

    def work(name: str) -> Columns:
        row, start, stop = ranges[name]
        found = _scan_block(corpus[row], targets, start, stop)
        return {f"{metric}_{column}": getattr(hits, column) for metric, hits in found.items() for column in COLUMNS}

    blocks.run(folder, sizes(ranges), work, comm, "windows")
    if comm.rank:
        return None
    return {metric: _chosen(folder, ranges, len(corpus), metric, targets.length) for metric in METRICS}


def _scan_block(chunk: Chunk, targets: Targets, start: int, stop: int) -> HitsByMetric:
    """The windows starting in [start, stop) that may be chosen. They are thinned as they are found, so few are held."""
    found: HitsByMetric = {}
    chunks.check(chunk, stop, stop + targets.length - 1)  # the last windows reach into the next block
    for low, high in blocks.ranges(start, stop, chunks.CHECKED_TOKENS):
        chunks.check(chunk, low, high)
        new = scan.scan(chunk.tokens, chunk.offsets, targets, low, high)
        held = {metric: scan.merge([found[metric], new[metric]]) for metric in found} or new
        found = scan.thinned(held, targets.length, start, high)
    return found


def _chosen(folder: Path, ranges: TextRanges, n_chunks: int, metric: str, length: int) -> Columns:
    """The choice from what the blocks hold, chunk by chunk."""
    by_chunk = []
    for row in range(n_chunks):
        stored = [blocks.read(folder, name) for name, (chunk, _, _) in ranges.items() if chunk == row]
        parts = [Hits(*(block[f"{metric}_{column}"] for column in COLUMNS)) for block in stored]
        hits = scan.keep(scan.merge(parts), lambda p, d: choose(p, d, length))
        by_chunk.append((np.full(len(hits), row), hits))
    chunk = np.concatenate([rows for rows, _ in by_chunk])
    columns = {name: np.concatenate([getattr(hits, name) for _, hits in by_chunk]) for name in COLUMNS}
    order = np.argsort(columns["target"], kind="stable")  # chunks and positions rise already
    return {
        "target": columns["target"][order].astype("<u4"),
        "chunk": chunk[order].astype("<u4"),
        "position": columns["position"][order].astype("<u8"),
        "distance": columns["distance"][order].astype("<u2"),
    }
