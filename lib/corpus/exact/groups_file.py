"""Reads groups.h5: the groups of exact duplicates of one chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk


@dataclass(frozen=True)
class Groups:
    """An open groups.h5: the index of the chunk that the groups belong to, and the occurrences of each group."""

    path: Path
    chunk: int
    positions: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray

    def first(self, rows: np.ndarray) -> np.ndarray:
        """The lowest position of each of the groups `rows`: int64."""
        return np.array([self.positions[int(self.offsets[row])] for row in rows], dtype=np.int64)

    def occurrences(self, group: int) -> np.ndarray:
        """All positions of one group: int64, ascending."""
        return np.array(self.positions[int(self.offsets[group]) : int(self.offsets[group + 1])], dtype=np.int64)


def open_groups(path: Path, corpus: Sequence[Chunk], length: int) -> Groups:
    """The groups in `path`, of windows of `length` tokens, which belong to one of the chunks.

    Raises TesseraError when they do not fit any.
    """
    with hdf5.opened(path) as file:
        attributes = dict(file.attrs)
    made = int(attributes.get("length", length))
    if made != length:
        raise TesseraError(f"{path}: its groups have {made} tokens, but length is {length}; make groups of that length")
    positions, offsets, counts = (_column(path, name) for name in ("positions", "group_offsets", "counts"))
    row = _own_chunk(path, attributes, corpus)
    whole = len(offsets) == len(counts) + 1 and int(offsets[-1]) == len(positions)
    if not whole or (len(positions) and int(positions.max()) + length > corpus[row].n_tokens):
        raise TesseraError(f"{path}: its groups do not fit {corpus[row].path}; give the corpus they were made from")
    return Groups(path, row, positions, offsets, counts)


def _column(path: Path, name: str) -> np.ndarray:
    """A memory map if the dataset allows it: there may be more groups than fit in memory."""
    with hdf5.opened(path) as file:
        if name in file and file[name].id.get_offset() is not None:
            return chunks.memmap(path, file[name])
    return hdf5.read(path, name)


def _own_chunk(path: Path, attributes: dict[str, Any], corpus: Sequence[Chunk]) -> int:
    """Index of the chunk that the groups belong to; the first if the file does not say."""
    if "tokens_digest" not in attributes:
        return 0
    digests = [chunks.digest(chunk) for chunk in corpus]
    if attributes["tokens_digest"] not in digests:
        raise TesseraError(
            f"{path}: its groups belong to none of the {len(corpus)} chunks; give the corpus they were made from"
        )
    return digests.index(attributes["tokens_digest"])


def check_counts(groups: Groups, rows: np.ndarray, counted: np.ndarray) -> None:
    """Raise TesseraError unless the groups `rows` have as many occurrences as were counted in their chunk."""
    wrong = np.flatnonzero(counted != np.asarray(groups.counts)[rows])
    if len(wrong):
        row = int(rows[wrong[0]])
        raise TesseraError(
            f"{groups.path}: group {row} has {groups.counts[row]} occurrences in the file, but "
            f"{counted[wrong[0]]} in its chunk; give the corpus the groups were made from"
        )
