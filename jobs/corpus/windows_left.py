"""Look whether a cleaned corpus still holds twice what was a duplicate before.

    python -m jobs windows_left --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs windows_left --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]   # the corpus before, and the one that it was compared with
      cleaned: DIR/chunk-00.h5             # the cleaned corpus, tokenised again
      cleaned_groups: DIR/groups.h5        # of exact_duplicates, of that chunk
    length: 100

What is cleaned is text, and text that is tokenised again has other tokens where it was cut: so windows that are equal
may come into being there, and over the separator between two pieces. They are counted; what matters is that none of
them is a window that was a duplicate before.

Result left.h5, attributes: `groups` and `windows` that the cleaned corpus holds more than once, `groups_of_before` (of
windows that the corpus before held at least twice, by a scan of it), `tokens` of the cleaned corpus.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.corpus import chunks, text_blocks
from lib.corpus.chunks import Chunk

VERSION = 1
MPI = True
INPUTS = ("corpus", "cleaned", "cleaned_groups")
LISTS = ("corpus",)
SLUG = ("length",)


@dataclass(frozen=True)
class Config:
    """What a window is, and how the work is cut.

    length: tokens of a window
    block_tokens: tokens of text in one block; a stopped run continues with the missing blocks
    """

    length: int = 100
    block_tokens: int = execution(1 << 26)

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows and blocks."""
        at_least(1, length=self.length, block_tokens=self.block_tokens)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Count a window of every group that is left in the corpus before. Memory: these windows."""
    from lib.corpus.counts import by_ranks

    before, cleaned, comm = chunks.open_chunks(inputs["corpus"]), chunks.only(inputs["cleaned"]), mpi.world()
    members, left = _windows(inputs["cleaned_groups"], cleaned, config.length)
    counts: np.ndarray | None = None
    if len(left):
        ranges = text_blocks.text_ranges(before, config.block_tokens)
        counts = by_ranks.count_by_scan(out / places.BLOCKS, ranges, before, left, comm)
    if comm.rank == 0:
        again = 0 if counts is None else int((counts.sum(axis=1) > 1).sum())
        with hdf5.create(out / places.LEFT) as file:
            file.attrs.update(groups=len(left), windows=members, groups_of_before=again, tokens=cleaned.n_tokens)
        print(f"{len(left)} groups left, {again} of them of windows that were duplicates before")


def _windows(path: Path, chunk: Chunk, length: int) -> tuple[int, np.ndarray]:
    """How many members the groups of a chunk have, and a window of each (groups x length)."""
    from lib.corpus.exact import groups_file

    members, found = 0, [np.zeros((0, length), chunk.tokens.dtype)]
    for part in groups_file.open_parts(store.find(path, places.GROUPS), [chunk], length):
        for _, position, group_offsets in groups_file.each_block(part):
            first = np.asarray(position)[group_offsets[:-1]]
            chunks.check_windows([chunk], np.zeros(len(first)), first, length)
            found.append(chunks.windows([chunk], np.zeros(len(first), np.int64), first, length))
            members += len(position)
    return members, np.concatenate(found)
