"""Counts: how often query sequences occur in every chunk of a corpus.

mpirun -n 2 python -m mpi4py -m jobs count --config count.yaml --out DIR

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # or directories of them
      queries: queries.h5                 # dataset `tokens`, n x length; a targets.h5 has it, too
      suffix_arrays: [DIR/suffix_array.h5, ...]  # of every chunk in the order of the corpus; for that method only
    method: scan                          # one streaming pass; or suffix_array, binary search

Writes counts.h5: `counts`, int64, queries x chunks. Occurrences lie inside one document, and overlapping ones count.
Both methods give the same file. A scan reads (and checks) all of the corpus; so does the other method, once, unless
`verify: false` says that its files are known to be whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import execution
from lib.base.errors import TesseraError, UsageError
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus", "queries")
OPTIONAL_INPUTS = ("suffix_arrays",)
LISTS = ("corpus", "suffix_arrays")
SLUG = ("method",)


@dataclass(frozen=True)
class Config:
    """`block_tokens`: text of one block, the unit of restart. `verify`: check all files in the method suffix_array."""

    method: Literal["scan", "suffix_array"] = "scan"
    block_tokens: int = execution(1 << 26)
    verify: bool = execution(True)

    def __post_init__(self) -> None:
        """Refuse blocks of nothing."""
        if self.block_tokens < 1:
            raise ValueError(f"block_tokens {self.block_tokens}: at least 1 is wanted")


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
    from lib.corpus import text_blocks
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

    given = inputs.get("suffix_arrays")
    if not given:
        raise UsageError("method suffix_array: name the input 'suffix_arrays', one of each chunk, or use method scan")
    if len(given) != len(corpus):
        raise TesseraError(f"suffix_arrays: {len(given)} given for {len(corpus)} chunks; one of each, in their order")
    return [
        opened.open_suffix_array(store.find(path, places.SUFFIX_ARRAY), chunk) for path, chunk in zip(given, corpus)
    ]


def _queries_file(path: Path) -> Path:
    """The file itself, or queries.h5 (else targets.h5) in a directory."""
    has_targets = path.is_dir() and not (path / places.QUERIES).is_file() and (path / places.TARGETS).is_file()
    return store.find(path, places.TARGETS if has_targets else places.QUERIES)
