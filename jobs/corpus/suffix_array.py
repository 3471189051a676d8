"""Build the suffix array of one chunk of a corpus.

    python -m jobs suffix_array --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs suffix_array --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: chunk-00.h5   # or a directory with one chunk
    depth: 1024

Result suffix_array.h5: `positions` (contiguous; uint32 where the chunk allows it, else uint64), sorted by the up to
`depth` tokens that start there. The end of the text sorts before any token, and of equal suffixes the lower position
comes first. `checksums` as in a chunk; attributes `depth`, `n_tokens`, `tokens_digest`. A rank needs 300 MB, the
memory-mapped text, and 6 bytes for every token of its share (10 beyond 2^32 tokens). It always needs 2 of these bytes;
the others stay within `memory_gb`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.base import mpi, places
from lib.base.config import at_least, execution
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus",)
SLUG = ("depth",)


@dataclass(frozen=True)
class Config:
    """How deep to sort, and in how much memory.

    depth: how many tokens of a suffix are compared
    range_tokens: suffixes that are sorted at once, so that they fit in the processor's cache
    memory_gb: memory of a rank for its suffixes, in GB; if they need more, they take more rounds
    """

    depth: int = 1024
    range_tokens: int = execution(1 << 18)
    memory_gb: float = execution(16.0)

    def __post_init__(self) -> None:
        """Raise ValueError for empty suffixes and ranges, and for no memory."""
        at_least(1, depth=self.depth, range_tokens=self.range_tokens)
        if self.memory_gb <= 0:
            raise ValueError(f"memory_gb is {self.memory_gb}; it must be more than 0")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Sort the suffixes of the chunk, all ranks together."""
    from lib.corpus.suffixes import by_ranks

    by_ranks.build(
        out / places.SUFFIX_ARRAY, out / places.BLOCKS, chunks.only(inputs["corpus"]), config.depth,
        config.range_tokens, int(config.memory_gb * 1e9), mpi.world(),
    )  # fmt: skip
