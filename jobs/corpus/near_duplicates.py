"""Near-duplicates of target sequences in a whole corpus, by Hamming and by Levenshtein distance.

mpirun -n 2 python -m mpi4py -m jobs near_duplicates --config near_duplicates.yaml --out DIR

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # or directories of them
      targets: targets.h5                 # dataset `tokens`, n x length
    length: 100
    max_distance: 50

Writes near_duplicates.h5: groups `hamming` and `levenshtein`, each with the columns `target` (row in targets.h5),
`chunk` (index in the list given), `position` (of the window's first token in the chunk) and `distance`, sorted by the
first three. A window is `length` tokens inside one document. Of a target's windows within `max_distance`, none
overlaps another: the best distance goes first, then the lowest position. All of the corpus is scanned and checked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import execution
from lib.corpus import chunks

VERSION = 1
MPI = True
INPUTS = ("corpus", "targets")
LISTS = ("corpus",)
SLUG = ("length", "max_distance")


@dataclass(frozen=True)
class Config:
    """`block_tokens`: text of one block, the unit of restart."""

    length: int = 100
    max_distance: int = 50
    block_tokens: int = execution(1 << 26)

    def __post_init__(self) -> None:
        """Refuse windows and blocks of nothing, and distances that the table cannot hold."""
        if min(self.length, self.block_tokens) < 1:
            raise ValueError("length and block_tokens: at least 1 is wanted")
        if not 0 <= self.max_distance < 1 << 16:
            raise ValueError(f"max_distance {self.max_distance}: 0 to 65535 is possible")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Scan block by block; rank 0 chooses and writes."""
    from lib.corpus import text_blocks
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
