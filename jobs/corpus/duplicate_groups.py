"""Find every group of equal windows inside single documents of a whole corpus, by hashing.

    python -m jobs duplicate_groups --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs duplicate_groups --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # chunks, or directories of them
    length: 100
    memory_gb: 2                          # of a rank

Every window is hashed, in readings of the text from its first token to its last; nothing is read out of order. Windows
with equal hashes of 122 bits are taken to be equal; the chance that any two of 2^40 windows of 100 tokens have such
hashes and differ is below 2e-8. The less memory, the more readings; ranks and memory do not change the result.

Result: shards `groups-0000.h5` ... with `chunk` and `position` of all members, group after group, `group_offsets` and
`counts`; a group is in the shard that its hash names. `groups.h5` is their index, with the histogram of counts of the
whole corpus: `histogram/count`, `histogram/groups`. lib/corpus/exact/groups_file.py reads them in blocks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.base import mpi, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus",)
LISTS = ("corpus",)
SLUG = ("length",)


@dataclass(frozen=True)
class Config:
    """What a window is, and in how much memory.

    length: tokens of a window
    memory_gb: the most memory that a rank takes, in GB, at least 0.5; with less of it the text is read more often
    """

    length: int = 100
    memory_gb: float = execution(8.0)

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows, and for too little memory."""
        at_least(1, length=self.length)
        at_least(0.5, memory_gb=self.memory_gb)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Find the groups shard by shard, all ranks together; rank 0 writes the index."""
    from lib.corpus.exact import whole_by_ranks

    corpus = chunks.open_chunks(inputs["corpus"])
    if len(corpus) > 1 << 16:
        raise TesseraError(f"corpus: {len(corpus)} chunks; members name theirs in 16 bits, so give at most 65,536")
    memory = config.memory_gb * 1e9
    whole_by_ranks.find(out, out / places.BLOCKS, corpus, config.length, memory, mpi.world())
