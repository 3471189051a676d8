"""Find every group of two or more equal windows inside single documents of a chunk.

    python -m jobs exact_duplicates --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs exact_duplicates --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: chunk-00.h5              # or a directory with one chunk
      suffix_array: suffix_array.h5    # of that chunk, at least `length` deep
    length: 100

Result groups.h5: `positions` (of all members, group after group in the order of the suffix array, rising inside each),
`group_offsets` (uint64, groups + 1), `counts`, and the histogram of counts: `histogram/count`, `histogram/groups`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import mpi, places
from lib.base.config import at_least, execution
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus", "suffix_array")
SLUG = ("length",)


@dataclass(frozen=True)
class Config:
    """What a window is, and how the work is cut.

    length: tokens of a window
    block_entries: entries of the suffix array in one block (about 40 bytes of memory each); a stopped run continues
        with the missing blocks
    """

    length: int = 100
    block_entries: int = execution(1 << 22)

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows and blocks."""
        at_least(1, length=self.length, block_entries=self.block_entries)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Find the groups block by block; rank 0 puts them together."""
    from lib.corpus.exact import by_ranks

    chunk = chunks.only(inputs["corpus"])
    array = by_ranks.open_array(store.find(inputs["suffix_array"], places.SUFFIX_ARRAY), chunk, config.length)
    by_ranks.find(
        out / places.GROUPS, out / places.BLOCKS, chunk, array, config.length, config.block_entries, mpi.world()
    )
