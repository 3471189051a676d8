"""Count how often query sequences occur in every chunk of a corpus.

    python -m jobs count --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs count --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # chunks, or directories of them
      queries: queries.h5                 # dataset `tokens`, n x length; a targets.h5 also has it
      suffix_arrays: [DIR/suffix_array.h5, ...]  # for method suffix_array: one for each chunk, in the same order
    method: scan

Result counts.h5: `counts`, int64, queries x chunks; attributes `length` and `n_tokens`. An occurrence lies inside one
document, and overlapping ones all count. Both methods give the same file.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError, UsageError
from lib.corpus import chunks, text_blocks

VERSION = 1
MPI = True
INPUTS = ("corpus", "queries")
OPTIONAL_INPUTS = ("suffix_arrays",)
LISTS = ("corpus", "suffix_arrays")
SLUG = ("method",)


@dataclass(frozen=True)
class Config:
    """How to count.

    method: `scan` reads the corpus once from end to end; `suffix_array` does a binary search in the suffix arrays
    block_tokens: tokens of text in one block; a stopped run continues with the missing blocks
    verify: whether method suffix_array first reads and checks all of its files; `false` says that they are known to be
        whole (a scan always reads and checks the corpus)
    """

    method: Literal["scan", "suffix_array"] = "scan"
    block_tokens: int = execution(1 << 26)
    verify: bool = execution(True)

    def __post_init__(self) -> None:
        """Raise ValueError for empty blocks."""
        at_least(1, block_tokens=self.block_tokens)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for a search without suffix arrays."""
    if config.method == "suffix_array" and "suffix_arrays" not in inputs:
        raise UsageError("method suffix_array: name the input 'suffix_arrays', one for each chunk, or use method scan")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Count block by block; rank 0 adds up."""
    from lib.corpus.counts import by_ranks

    corpus = chunks.open_chunks(inputs["corpus"])
    source = _queries_file(inputs["queries"])
    queries = hdf5.read(source, "tokens")
    by_ranks.check_queries(queries, corpus, source)
    counts = _count(config, inputs, corpus, queries, out / places.BLOCKS)
    if counts is not None:
        with hdf5.create(out / places.COUNTS) as file:
            hdf5.write(file, "counts", counts.astype("<i8"))
            file.attrs.update(length=queries.shape[1], n_tokens=sum(chunk.n_tokens for chunk in corpus))


def _count(config: Config, inputs: dict[str, Any], corpus: list, queries: Any, folder: Path) -> Any:
    from lib.corpus.counts import by_ranks

    comm = mpi.world()
    if config.method == "scan":
        ranges = text_blocks.text_ranges(corpus, config.block_tokens)
        return by_ranks.count_by_scan(folder, ranges, corpus, queries, comm)
    arrays = _arrays(inputs, corpus)
    if config.verify:
        ranges = text_blocks.text_ranges(corpus, config.block_tokens, "checked-")
        by_ranks.verify(folder, ranges, corpus, arrays, comm)
    return by_ranks.count_by_search(folder, corpus, arrays, queries, comm)


def _arrays(inputs: dict[str, Any], corpus: list) -> list:
    from lib.corpus.suffixes import opened

    given = inputs["suffix_arrays"]
    if len(given) != len(corpus):
        raise TesseraError(
            f"suffix_arrays: {len(given)} given for {len(corpus)} chunks; give one for each, in their order"
        )
    return [
        opened.open_suffix_array(store.find(path, places.SUFFIX_ARRAY), chunk) for path, chunk in zip(given, corpus)
    ]


def _queries_file(path: Path) -> Path:
    """The file itself, or queries.h5 (else targets.h5) in a directory."""
    has_targets = path.is_dir() and not (path / places.QUERIES).is_file() and (path / places.TARGETS).is_file()
    return store.find(path, places.TARGETS if has_targets else places.QUERIES)
