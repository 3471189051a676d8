"""A target and three of its near-duplicates as texts, with what differs and where each of them stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.corpus.chunks import Chunk
from lib.reporting.excerpts import SAME, Passage, passage
from lib.studies import texts
from lib.studies.texts import Decode, Ids


@dataclass(frozen=True)
class Window:
    """Tokens of a corpus: ids (length,), the name of the chunk, the number of the document in it, and the position of
    the first token in the document."""

    ids: Ids
    chunk: str
    document: int
    position: int

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"{self.chunk}, document {self.document:,}, token {self.position:,}"


def window_at(chunk: Chunk, position: int, length: int) -> Window:
    """The `length` tokens of a chunk from `position`, and where they stand. They were compared before."""
    document = int(np.searchsorted(chunk.offsets, position, side="right")) - 1
    ids = chunk.tokens[position : position + length].tolist()
    return Window(ids, chunk.path.stem, document, position - int(chunk.offsets[document]))


def chosen(target: NDArray, distance: NDArray, bucket: NDArray) -> dict[int, NDArray[np.int64]]:
    """Bucket -> the rows of near-duplicates that are shown: of its first target that has some, apart from exact copies,
    the nearest, the middle one and the farthest.

    target, distance: (n,), of every near-duplicate; bucket: (targets,). A bucket without near-duplicates is left out.
    """
    found: dict[int, NDArray[np.int64]] = {}
    inexact = np.flatnonzero(distance > 0)
    for one in np.unique(target[inexact]).tolist():
        rows = inexact[target[inexact] == one]
        ranked = rows[np.argsort(distance[rows], kind="stable")]
        found.setdefault(int(bucket[one]), np.array(texts.three(ranked), dtype=np.int64))
    return found


def passages(decode: Decode, target: Window, count: int, near: Sequence[tuple[int, Window]]) -> Iterator[Passage]:
    """The target, of which the corpus holds `count` exact copies, and near-duplicates with their distances."""
    copies = "1 exact copy" if count == 1 else f"{count:,} exact copies"
    yield passage(f"The target, {copies}; one is in {target.place}", [(decode(target.ids), SAME)])
    for distance, window in near:
        differing = texts.differences(decode, target.ids, window.ids)
        yield passage(f"Distance {distance}; {window.place}", differing)
