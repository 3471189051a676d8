"""Find the near-duplicates of targets in a whole corpus, by Hamming and Levenshtein distance.

    python -m jobs near_duplicates --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs near_duplicates --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # chunks, or directories of them
      targets: targets.h5                 # dataset `tokens`, n x length
    length: 100
    max_distance: 50

Result near_duplicates.h5: groups `hamming` and `levenshtein`, each with the columns `target` (row in targets.h5),
`chunk` (index in the list of the corpus), `position` (of the window's first token in the chunk) and `distance`, sorted
by the first three. A window is `length` tokens inside one document. No two windows of a target overlap: the smallest
distance is taken first, then the lowest position. The whole corpus is read and checked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.corpus import chunks, text_blocks

VERSION = 1
MPI = True
INPUTS = ("corpus", "targets")
LISTS = ("corpus",)
SLUG = ("length", "max_distance")


@dataclass(frozen=True)
class Config:
    """What counts as a near-duplicate, and how the work is cut.

    length: tokens of a target and of a window
    max_distance: the largest distance that is reported, in tokens, 0 to 65535
    block_tokens: tokens of text in one block; a stopped run continues with the missing blocks
    """

    length: int = 100
    max_distance: int = 50
    block_tokens: int = execution(1 << 26)

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows and blocks, and for distances that the table cannot hold."""
        at_least(1, length=self.length, block_tokens=self.block_tokens)
        if not 0 <= self.max_distance < 1 << 16:
            raise ValueError(f"max_distance is {self.max_distance}; it must be 0 to 65535")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Scan block by block; rank 0 chooses and writes."""
    from lib.corpus.near import by_ranks, scan

    corpus = chunks.open_chunks(inputs["corpus"])
    source = store.find(inputs["targets"], places.TARGETS)
    tokens = hdf5.read(source, "tokens")
    by_ranks.check_targets(tokens, config.length, corpus, source)
    targets = scan.prepare(tokens, config.max_distance)
    ranges = text_blocks.text_ranges(corpus, config.block_tokens)
    found = by_ranks.find(out / places.BLOCKS, ranges, corpus, targets, mpi.world())
    if found is not None:
        _write(out / places.NEAR_DUPLICATES, found, config, len(tokens), sum(chunk.n_tokens for chunk in corpus))


def _write(path: Path, found: dict[str, Any], config: Config, n_targets: int, n_tokens: int) -> None:
    with hdf5.create(path) as file:
        for metric, columns in found.items():
            group = file.create_group(metric)
            for name, column in columns.items():
                hdf5.write(group, name, column)
            print(f"{metric}: {len(columns['target'])} near-duplicates of {n_targets} targets in {n_tokens} tokens")
        file.attrs.update(
            length=config.length, max_distance=config.max_distance, n_targets=n_targets, n_tokens=n_tokens
        )
