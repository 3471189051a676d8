"""Decide which tokens of a corpus go: its duplicates, and windows near given texts.

    python -m jobs cuts --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs cuts --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]         # the chunks that are cleaned
      against: [other/chunk-00.h5]               # chunks of a corpus that stays; what stands there goes from `corpus`
      groups: DIR/groups.h5                      # of duplicate_groups of `corpus` and `against`, in this order; or a
                                                 # list, one of exact_duplicates for each chunk
      near_duplicates: [DIR/near_duplicates.h5]  # of `corpus`, near given texts
    length: 100
    keep: one

Result cuts-NN.h5, one for each chunk of `corpus` (see lib/corpus/cleaning/cuts_file.py). No token is changed.

What stays of a document is one or several pieces. With `keep: one` no window of `length` tokens stands twice in the
pieces, and for every token that goes an earlier one stays, reached through windows that are equal. With `keep: none` no
window is left that the corpus had twice. Whatever `keep` is, none is left that stands in `against`, and none near a
given text within `max_distance`.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk

VERSION = 1
MPI = True
INPUTS = ("corpus",)
OPTIONAL_INPUTS = ("against", "groups", "near_duplicates")
LISTS = ("corpus", "against", "groups", "near_duplicates")
SLUG = ("length", "keep")
COLUMNS = ("chunk", "position", "distance")


@dataclass(frozen=True)
class Config:
    """What goes, and how the work is cut.

    length: tokens of a window
    keep: which windows of a group of equal ones stay: `one`, the first of the corpus; `none`; or `all`, so that only
        what stands in `against`, or near given texts, goes
    max_distance: the largest distance of a near-duplicate that goes, in tokens (Levenshtein)
    drop_above: a document of which more than this share of tokens goes, goes whole, 0 to 1; null drops none
    segment_tokens: tokens of the documents that are looked at together (about 40 bytes of memory each)
    block_members: windows of groups that are looked at together (about 100 bytes each)
    """

    length: int = 100
    keep: Literal["one", "none", "all"] = "one"
    max_distance: int = 0
    drop_above: float | None = None
    segment_tokens: int = execution(1 << 23)
    block_members: int = execution(1 << 21)

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows, segments and blocks, and a share that is none."""
        at_least(1, length=self.length, segment_tokens=self.segment_tokens, block_members=self.block_members)
        at_least(0, max_distance=self.max_distance, drop_above=self.drop_above)
        if self.drop_above is not None and self.drop_above > 1:
            raise ValueError(f"drop_above is {self.drop_above}; it must be a share, 0 to 1, or null")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Turn duplicates into ranges, and these into cuts, chunk by chunk."""
    from lib.corpus.cleaning import by_ranks

    corpus = chunks.open_chunks(inputs["corpus"])
    against = chunks.open_chunks(inputs["against"]) if inputs.get("against") else []
    sources = {**_groups(config, inputs, corpus, against), **_near(config, inputs, corpus)}
    if not sources:
        raise TesseraError("nothing says what goes; give `groups`, `near_duplicates`, or both")
    by_ranks.find(out, corpus, sources, config.drop_above, config.segment_tokens, mpi.world())


def _groups(config: Config, inputs: dict[str, Any], corpus: Sequence[Chunk], against: Sequence[Chunk]) -> dict:
    from lib.corpus.cleaning import ranges
    from lib.corpus.exact import groups_file
    from lib.corpus.exact.groups_file import Part

    def batches(part: Part) -> Iterator[ranges.Ranges]:
        for block in groups_file.each_block(part, config.block_members):
            yield ranges.of_groups(*block, config.length, config.keep, len(corpus))

    files = [store.find(path, places.GROUPS) for path in inputs.get("groups", [])]
    parts = [part for file in files for part in groups_file.open_parts(file, [*corpus, *against], config.length)]
    return {f"groups-{number:06d}": functools.partial(batches, part) for number, part in enumerate(parts)}


def _near(config: Config, inputs: dict[str, Any], corpus: Sequence[Chunk]) -> dict:
    from lib.corpus.cleaning import by_ranks, ranges

    def batch(path: Path) -> Iterator[ranges.Ranges]:
        length = _length(path, config, sum(chunk.n_tokens for chunk in corpus))
        columns = {name: hdf5.read(path, f"levenshtein/{name}") for name in COLUMNS}
        yield by_ranks.near_windows(columns, length, config.max_distance, len(corpus))

    files = [store.find(path, places.NEAR_DUPLICATES) for path in inputs.get("near_duplicates", [])]
    return {f"near-{number:06d}": functools.partial(batch, file) for number, file in enumerate(files)}


def _length(path: Path, config: Config, n_tokens: int) -> int:
    """Tokens of a window of near-duplicates. Raises TesseraError if they are of another corpus, or too few."""
    made = hdf5.attributes(path)
    if made["n_tokens"] != n_tokens:
        raise TesseraError(f"{path}: found in {made['n_tokens']} tokens, the corpus has {n_tokens}; give that corpus")
    if made["max_distance"] < config.max_distance:
        raise TesseraError(
            f"{path}: sought up to distance {made['max_distance']}, but max_distance is {config.max_distance}; lower "
            "it, or seek farther"
        )
    return int(made["length"])
