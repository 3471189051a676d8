"""Finds the exact duplicates of a whole corpus by hashing. All ranks read the text in its order, several times.

A window belongs to the shard and the cell that its hash begins with, and a shard to one rank. Two windows are equal if
their hashes of 122 bits are (window_hashes.py says how seldom that is wrong). Those of a cell come in the order of the
text, and how shards are cut depends on the size of the corpus alone: neither memory nor ranks change a file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.base import blocks, files, mpi, places, progress
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.exact import group_shards, layout
from lib.corpus.exact.group_shards import ShardFiles
from lib.corpus.exact.layout import Layout
from lib.corpus.exact.repeats import ENTRY_BYTES
from lib.corpus.exact.shard_pass import Memory, ShardPass
from lib.corpus.exact.window_scan import WindowScan

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

PROGRAM_BYTES = 350e6  # of Python, numpy, numba, HDF5 and MPI
FOR_EXCHANGE, FOR_FILTER, FOR_CANDIDATES = 0.25, 0.2, 0.55  # of the rest
BLOCK_TOKENS, ROUND_TOKENS = 1 << 17, 1 << 24
CHECKED_AT_ONCE = 4 * chunks.CHECKED_TOKENS


def find(
    out: Path, folder: Path, corpus: Sequence[Chunk], length: int, memory_bytes: float, comm: "Intracomm",
    cut: Layout | None = None,
) -> None:  # fmt: skip
    """Write groups.h5 and its shards in `out`: all groups of equal windows of `length` tokens inside single documents.

    memory_bytes: of a rank, in all; cut: another layout than that for the corpus' size.
    Raises TesseraError for a chunk that is damaged, and for too little memory.
    """
    for chunk in corpus:
        for start, stop in mpi.share(blocks.ranges(0, chunk.n_tokens, CHECKED_AT_ONCE), comm):
            chunks.check(chunk, start, stop)
    room = max(0.0, memory_bytes - PROGRAM_BYTES)
    cut = cut or layout.of(sum(chunk.n_tokens for chunk in corpus))
    scan = WindowScan(corpus, length, cut, _block(room * FOR_EXCHANGE, comm), comm)
    names = [Path(places.group_shard(number)).stem for number in range(cut.shards)]
    _take_back(out, folder, comm)
    absent = set(blocks.missing_of_all(folder, names, comm))
    _run(scan, folder, np.flatnonzero([name in absent for name in names]), room)
    blocks.check_made(folder, names, comm)
    comm.barrier()  # nobody takes a block away before that
    for name in mpi.share(names, comm):
        files.publish(blocks.file(folder, name), out / blocks.file(folder, name).name)
    comm.barrier()
    if comm.rank == 0:
        print(group_shards.write_index(out / places.GROUPS, corpus, length, cut))


def _block(room: float, comm: "Intracomm") -> int:
    """Tokens of a rank's block: at worst one rank receives the windows of the blocks of all."""
    return int(min(BLOCK_TOKENS, ROUND_TOKENS // comm.size, max(1, room / (ENTRY_BYTES * (comm.size + 2)))))


def _take_back(out: Path, folder: Path, comm: "Intracomm") -> None:
    """Shards that were published before all were: the run was stopped then."""
    if comm.rank == 0:
        for file in out.glob(places.GROUP_SHARDS):
            files.publish(file, folder / file.name)
    comm.barrier()


def _run(scan: WindowScan, folder: Path, shards: np.ndarray, room: float) -> None:
    """Find the groups of `shards` (int64), in as many passes as their filters need."""
    comm, tokens = scan.comm, -(-scan.n_tokens // scan.layout.shards)  # of a shard, a byte of the filter each
    most = int(max(1, min(room * FOR_FILTER // max(1, tokens), -(-len(shards) // comm.size)))) * comm.size
    left = min(tokens * len(shards), scan.n_tokens)
    entries = np.empty((int(room * FOR_CANDIDATES / ENTRY_BYTES), 3), np.uint64)  # takes memory as it is filled
    memory = Memory(room * FOR_FILTER, room * FOR_CANDIDATES, entries)
    with progress.of_ranks(folder.parent, "tokens", scan.n_tokens, left, left / comm.size, comm) as advance:
        for begin in range(0, len(shards), most):
            now = shards[begin : begin + most]
            mine = now[comm.rank :: comm.size]
            with ShardFiles(folder, mine, scan.layout.cells, scan.starts) as opened:
                part = left / comm.size * len(now) / len(shards)
                ShardPass(scan, now, memory).run(opened, progress.divided(advance, 1 / max(1, part)))
