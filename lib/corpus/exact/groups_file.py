"""Reads groups of exact duplicates, which may be larger than memory: in blocks, by all ranks.

The stage `duplicate_groups` writes the groups of a whole corpus in shards, `groups-NNNN.h5`:

chunk          uint16, position uint64: the members, group after group, rising inside each
group_offsets  uint64, groups + 1: group g has the members group_offsets[g] to group_offsets[g + 1] - 1
counts         uint64, members of each group
cell_offsets   uint64, cells + 1: the groups of a cell, which is a range of hashes; by first member in each

The index beside them, `groups.h5`, has the attributes length, n_tokens, n_groups, n_members, cell_bits, shard_bits, the
histogram of counts, `shards/groups`, `shards/members`, and the digests of the chunks, `chunks/digest`.
The stage `exact_duplicates` writes one `groups.h5` for one chunk, with `positions` instead of chunk and position; it is
read in the same way, as one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from lib.base import blocks, hdf5, places
from lib.base.errors import Damaged, TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk

MEMBERS_AT_ONCE = 1 << 22
GROUPS_AT_ONCE = 1 << 20


class Block(NamedTuple):
    """Some groups. chunk (uint16) and position (int64) are of all members, group after group, rising inside each.

    group_offsets: int64, groups + 1, from 0: group g has the members group_offsets[g] to group_offsets[g + 1] - 1.
    """

    chunk: np.ndarray
    position: np.ndarray
    group_offsets: np.ndarray


@dataclass(frozen=True)
class Part:
    """A file of groups. first: the number of its first group among all; own_chunk: the chunk of all its members, None
    if each member has its own; length: tokens of a window; n_tokens: of every chunk."""

    path: Path
    first: int
    n_groups: int
    own_chunk: int | None
    length: int
    n_tokens: tuple[int, ...]


def is_whole(path: Path) -> bool:
    """Whether this groups.h5 is the index of shards with the groups of a whole corpus."""
    with hdf5.opened(path) as file:
        return "shards" in file


def open_parts(path: Path, corpus: Sequence[Chunk], length: int) -> list[Part]:
    """The parts of the groups in `path` (groups.h5), which are of windows of `length` tokens of `corpus`.

    Raises TesseraError if they are of other chunks or of another length, or a shard is missing.
    """
    attributes, n_tokens = hdf5.attributes(path), tuple(chunk.n_tokens for chunk in corpus)
    _check_length(path, attributes, length)
    if not is_whole(path):
        own = _own_chunk(path, attributes, corpus)
        return [Part(path, 0, hdf5.rows(path)["counts"], own, length, n_tokens)]
    _check_corpus(path, corpus)
    sizes: list[int] = list(hdf5.read(path, "shards/groups").tolist())
    files = [path.with_name(places.group_shard(number)) for number in range(len(sizes))]
    for file in files:
        if not file.is_file():
            raise TesseraError(f"{file}: missing, though {path.name} names it; make the groups again")
    counted = zip(files, accumulate(sizes, initial=0), sizes)
    return [Part(file, first, size, None, length, n_tokens) for file, first, size in counted]


def each_block(part: Part, members: int = MEMBERS_AT_ONCE) -> Iterator[Block]:
    """The groups of a part in their order, about `members` members at a time; a larger group is a block of its own.

    Raises Damaged naming the file.
    """
    with hdf5.opened(part.path) as file:
        for low, high in blocks.ranges(0, part.n_groups, GROUPS_AT_ONCE):
            bounds = file["group_offsets"][low : high + 1].astype(np.int64)
            start = 0
            while start < high - low:
                fitting = int(np.searchsorted(bounds, bounds[start] + members, "right")) - 1
                stop = max(start + 1, fitting)
                yield _block(file, part, bounds[start : stop + 1])
                start = stop


def groups_of(part: Part, rows: Sequence[int]) -> Iterator[Block]:
    """Single groups of a part by their row in it, one block each, in the order given."""
    with hdf5.opened(part.path) as file:
        for row in rows:
            yield _block(file, part, file["group_offsets"][row : row + 2].astype(np.int64))


def _block(file: h5py.File, part: Part, bounds: np.ndarray) -> Block:
    low, high = int(bounds[0]), int(bounds[-1])
    position = file["positions" if "positions" in file else "position"][low:high].astype(np.int64)
    own = part.own_chunk
    chunk = file["chunk"][low:high] if own is None else np.full(high - low, own, np.uint16)
    if len(chunk) and int(chunk.max()) >= len(part.n_tokens):
        raise Damaged(part.path, f"a member is in chunk {chunk.max()} of {len(part.n_tokens)}; make the groups again")
    if (position + part.length > np.array(part.n_tokens, np.int64)[chunk]).any() or (np.diff(bounds) < 1).any():
        raise Damaged(part.path, "a member is outside its chunk, or a group is empty; make the groups again")
    return Block(chunk, position, bounds - low)


def _check_corpus(path: Path, corpus: Sequence[Chunk]) -> None:
    made = [digest.decode() for digest in hdf5.read(path, "chunks/digest").tolist()]
    if made != [chunks.digest(chunk) for chunk in corpus]:
        raise TesseraError(
            f"{path}: its groups are of {len(made)} chunks, which are not the {len(corpus)} given, or not in this "
            "order; give the corpus they were made from"
        )


@dataclass(frozen=True)
class Groups:
    """An open groups.h5 of one chunk: the index of that chunk, and the occurrences of each group."""

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
    _check_length(path, attributes, length)
    positions, offsets, counts = (_column(path, name) for name in ("positions", "group_offsets", "counts"))
    row = _own_chunk(path, attributes, corpus)
    whole = len(offsets) == len(counts) + 1 and int(offsets[-1]) == len(positions)
    if not whole or (len(positions) and int(positions.max()) + length > corpus[row].n_tokens):
        raise TesseraError(f"{path}: its groups do not fit {corpus[row].path}; give the corpus they were made from")
    return Groups(path, row, positions, offsets, counts)


def _check_length(path: Path, attributes: dict[str, Any], length: int) -> None:
    made = int(attributes.get("length", length))
    if made != length:
        raise TesseraError(f"{path}: its groups have {made} tokens, but length is {length}; make groups of that length")


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
