"""Look whether a cleaned corpus still holds twice what stood several times in the corpus that it was made of.

    python -m jobs windows_left --config FILE --out DIR

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]   # the corpus before
      groups: DIR/groups.h5                # of duplicate_groups, of this corpus
      cleaned: DIR/chunk-00.h5             # the cleaned corpus, tokenised again
      cleaned_groups: DIR/groups.h5        # of exact_duplicates, of that chunk
    length: 100

What is cleaned is text, and text that is tokenised again has other tokens where it was cut: so windows that are equal
may come into being there, and over the separator between two pieces. They are counted; what matters is that none of
them is a window that was a duplicate before.

Result left.h5, attributes: `groups` and `windows` that the cleaned corpus holds more than once, `groups_of_before` (of
windows that also stood in a group of the corpus before), `tokens` of the cleaned corpus.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.corpus import chunks
from lib.corpus.chunks import Chunk

VERSION = 1
INPUTS = ("corpus", "groups", "cleaned", "cleaned_groups")
LISTS = ("corpus",)
SLUG = ("length",)


@dataclass(frozen=True)
class Config:
    """What a window is.

    length: tokens of a window
    """

    length: int = 100

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows."""
        at_least(1, length=self.length)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Compare the first window of every group of both. Memory: the windows of the groups that are left."""
    before, cleaned = chunks.open_chunks(inputs["corpus"]), [chunks.only(inputs["cleaned"])]
    left: set[bytes] = set()
    windows = 0
    for members, found in _windows(inputs["cleaned_groups"], cleaned, config.length):
        left.update(found)
        windows += members
    again = {one for _, found in _windows(inputs["groups"], before, config.length) for one in found if one in left}
    with hdf5.create(out / places.LEFT) as file:
        file.attrs.update(groups=len(left), windows=windows, groups_of_before=len(again), tokens=cleaned[0].n_tokens)
    print(f"{len(left)} groups left, {len(again)} of them of windows that stood in a group before")


def _windows(path: Path, corpus: Sequence[Chunk], length: int) -> Iterator[tuple[int, list[bytes]]]:
    """Of each block of groups: how many members it has, and the window of each group as bytes of 32-bit ids."""
    from lib.corpus.exact import groups_file

    for part in groups_file.open_parts(store.find(path, places.GROUPS), corpus, length):
        for chunk, position, group_offsets in groups_file.each_block(part):
            first = group_offsets[:-1]
            chunks.check_windows(corpus, chunk[first], position[first], length)
            found = chunks.windows(corpus, chunk[first], position[first], length).astype("<u4")
            yield len(position), [window.tobytes() for window in np.ascontiguousarray(found)]
