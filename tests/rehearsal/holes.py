"""A file that is mostly holes: which parts of it are on the disk, and stages that read these parts alone.

A hole reads as zeros and takes no room, so that a corpus of a terabyte fits on any disk. To read all of it would still
take hours: while `skipped` lasts, stages pass over blocks that are holes from end to end. Nothing else of them changes.
"""

import errno
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from lib.base import blocks, hdf5
from lib.corpus import chunk_writer, chunks, filling, text_blocks
from lib.corpus.chunks import Chunk
from lib.corpus.cleaning import by_ranks as cleaning
from lib.corpus.exact import whole_by_ranks
from lib.corpus.exact.shard_pass import ShardPass
from lib.corpus.exact.window_scan import WindowScan

CHECK, TEXT_RANGES, SLICES, PUT, GET = chunks.check, text_blocks.text_ranges, hdf5.slices, filling.put, filling.get
SEGMENTS = cleaning.segments


@functools.cache
def extents(path: Path) -> list[tuple[int, int]]:
    """The bytes of a file that are on the disk: ranges [start, stop)."""
    found, end = [], 0
    with open(path, "rb") as file:
        while (start := _next(file.fileno(), end)) is not None:
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start, end))
    return found


def _next(file: int, start: int) -> int | None:
    """The first byte from `start` on that is on the disk."""
    try:
        return os.lseek(file, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def text(chunk: Chunk) -> list[tuple[int, int]]:
    """The tokens of a chunk that are on the disk, and what shares a page with them: ranges [start, stop)."""
    place, size = chunk.tokens.offset, chunk.tokens.itemsize
    found = [((start - place) // size, -(-(stop - place) // size)) for start, stop in extents(chunk.path)]
    inside = [(max(start, 0), min(stop, chunk.n_tokens)) for start, stop in found]
    return [(start, stop) for start, stop in inside if start < stop]


def on_disk(chunk: Chunk, start: int, stop: int) -> bool:
    """Whether one of these tokens of a chunk is on the disk."""
    return any(low < stop and start < high for low, high in text(chunk))


class FarScan(WindowScan):
    """A scan of the blocks that are on the disk."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        before = [0, *self.ends.tolist()]
        self.numbers = sorted(
            {
                before[row] + number
                for row, chunk in enumerate(self.corpus)
                for start, stop in text(chunk)
                for number in range(start // self.block, -(-stop // self.block))
            }
        )

    @property
    def turns(self) -> int:
        """Blocks of each rank."""
        return -(-len(self.numbers) // self.comm.size)

    def _numbered(self, number: int, *rest: Any) -> Any:
        return super()._numbered(self.numbers[number] if number < len(self.numbers) else int(self.ends[-1]), *rest)


class FullPass(ShardPass):
    """A pass whose filter and candidates take all the memory that they may, as where the whole text is read."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.memory.entries.fill(0)
        self.filter.counters.fill(0)


@contextmanager
def skipped() -> Iterator[None]:
    """Stages pass over what is not on the disk."""
    with ExitStack() as patches:
        for module, name, other in (
            (chunks, "check", _check),
            (text_blocks, "text_ranges", _text_ranges),
            (hdf5, "slices", _slices),
            (chunk_writer, "put", _put),
            (filling, "get", _get),
            (blocks, "check", lambda path: None),
            (blocks, "missing_of_all", _missing_of_all),
            (cleaning, "segments", _segments),
            (whole_by_ranks, "WindowScan", FarScan),
            (whole_by_ranks, "ShardPass", FullPass),
        ):
            patches.enter_context(mock.patch.object(module, name, other))
        yield


def _missing_of_all(folder: Path, wanted: Sequence[str], comm: Any) -> list[str]:
    """Blocks that are not there. Seals are not looked at: blocks of one content are links, sealed under one name."""
    there = set(comm.bcast(blocks.names(folder)))
    return [name for name in wanted if name not in there]


def _check(chunk: Chunk, start: int, stop: int) -> None:
    if on_disk(chunk, start, min(stop, chunk.n_tokens)):
        CHECK(chunk, start, stop)


def _text_ranges(corpus: Sequence[Chunk], size: int = text_blocks.BLOCK_TOKENS, prefix: str = "") -> Any:
    named = TEXT_RANGES(corpus, size, prefix)
    return {name: (row, start, stop) for name, (row, start, stop) in named.items() if on_disk(corpus[row], start, stop)}


def _segments(corpus: Sequence[Chunk], size: int = cleaning.SEGMENT_TOKENS) -> list[cleaning.Segment]:
    bounds = [chunk.offsets for chunk in corpus]
    some = [
        one
        for one in SEGMENTS(corpus, size)
        if on_disk(corpus[one.chunk], int(bounds[one.chunk][one.first]), int(bounds[one.chunk][one.last]))
    ]
    return [replace(one, number=number) for number, one in enumerate(some)]


def _slices(dataset: h5py.Dataset, *size: int) -> Iterator[np.ndarray]:
    """Of a dataset that is a hole one array of zeros, which takes no memory."""
    place = dataset.id.get_offset()
    if place is None or dataset.name != "/tokens":
        yield from SLICES(dataset, *size)
    else:
        yield np.broadcast_to(dataset.dtype.type(0), len(dataset))


def _put(file: int, array: np.ndarray, place: int) -> None:
    if array.strides != (0,):
        PUT(file, array, place)


def _get(file: int, size: int, place: int) -> bytes:
    start = _next(file, place)
    return GET(file, size, place) if start is not None and start < place + size else bytes(size)
