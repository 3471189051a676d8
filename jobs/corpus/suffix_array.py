"""Suffix array of one chunk of a corpus.

mpirun -n 2 python -m mpi4py -m jobs suffix_array --config suffix_array.yaml --out DIR

    inputs:
      corpus: chunk-00.h5   # or a directory with one chunk
    depth: 1024

Writes suffix_array.h5: `positions` (uint32 while the chunk allows, else uint64; contiguous), sorted by the up to
`depth` tokens that start there; the end of the text sorts before any token, and of equal suffixes the lower position
comes first. `checksums` as in a chunk; attributes depth, n_tokens, tokens_digest. A rank takes 6 bytes for every token
of its share (10 beyond 2^32 tokens; all but 2 of them at most `memory_gb`), beside 300 MB and the memory-mapped text.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.base import mpi, places
from lib.base.config import execution
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus",)
SLUG = ("depth",)


@dataclass(frozen=True)
class Config:
    """`range_tokens`: what is sorted at once, in cache. `memory_gb`: more suffixes of a rank take more rounds."""

    depth: int = 1024
    range_tokens: int = execution(1 << 18)
    memory_gb: float = execution(16.0)

    def __post_init__(self) -> None:
        """Refuse suffixes and ranges of nothing."""
        if min(self.depth, self.range_tokens) < 1 or self.memory_gb <= 0:
            raise ValueError("depth and range_tokens: at least 1 is wanted; memory_gb: more than 0")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Sort the suffixes of the chunk, all ranks together."""
    from lib.corpus.suffixes import by_ranks

    by_ranks.build(
        out / places.SUFFIX_ARRAY, out / places.BLOCKS, chunks.only(inputs["corpus"]), config.depth,
        config.range_tokens, int(config.memory_gb * 1e9), mpi.world(),
    )  # fmt: skip
