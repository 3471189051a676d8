"""Make the table that narrows searches in the suffix array of one chunk.

    python -m jobs search_table --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs search_table --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: chunk-00.h5            # or a directory with one chunk
      suffix_array: DIR/suffix_array.h5

Result search_table.h5: `keys` (contiguous uint64), the first tokens of every 256th suffix of the array, as many as 64
bits hold; `checksums` as in a chunk; attributes `depth`, `step`, `tokens_digest`. A search then reads text some eight
times instead of thirty. Text and array are read whole, and compared.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import mpi, places
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus", "suffix_array")
SLUG = ()


@dataclass(frozen=True)
class Config:
    """It has no keys."""


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Make the table block by block; rank 0 joins the blocks."""
    from lib.corpus.suffixes import opened
    from lib.corpus.trace import by_ranks

    chunk = chunks.only(inputs["corpus"])
    array = opened.open_suffix_array(store.find(inputs["suffix_array"], places.SUFFIX_ARRAY), chunk)
    by_ranks.make_table(out / places.SEARCH_TABLE, out / places.BLOCKS, chunk, array, mpi.world())
