"""Splits a list of files into consecutive parts of about equal size; where files are too few, files are cut."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lib.base.errors import TesseraError, counted

LEAST_PIECE, LARGEST_PIECE = 1 << 16, 1 << 26  # bytes of a file that is cut
PIECES = 64  # of a part, at least, so that parts are even to 1 / 64


class Piece(NamedTuple):
    """The documents of a file (its index) that begin in its bytes start .. stop - 1."""

    file: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stop - self.start


def pieces(sizes: Sequence[int], can_be_cut: Sequence[bool], parts: int) -> list[list[Piece]]:
    """The pieces of each of `parts` parts, in the order of the files: as `split` gives whole files to them, if there
    are as many files as parts; else of files that are cut. Large files are cut in any case, for ranks to share.

    sizes: bytes of each file. Raises TesseraError for fewer pieces than parts.
    """
    if len(sizes) >= parts:
        return [_cut(sizes, can_be_cut, part, LARGEST_PIECE) for part in split(sizes, parts)]
    most = max(LEAST_PIECE, min(LARGEST_PIECE, sum(sizes) // (PIECES * parts)))
    found = _cut(sizes, can_be_cut, range(len(sizes)), most)
    if len(found) < parts:
        few = f"{counted(len(sizes), 'file')} cannot fill {counted(parts, 'chunk')}"
        raise TesseraError(f"{few}; {enough(most_parts(sizes, can_be_cut))}")
    return [found[part.start : part.stop] for part in split([piece.size for piece in found], parts)]


def together(pieces: Sequence[Piece], most: int) -> list[list[Piece]]:
    """Consecutive pieces in groups of at most `most` bytes; a larger piece alone."""
    groups: list[list[Piece]] = []
    size = most
    for piece in pieces:
        size += piece.size
        if size > most or not groups:
            groups.append([])
            size = piece.size
        groups[-1].append(piece)
    return groups


def most_parts(sizes: Sequence[int], can_be_cut: Sequence[bool]) -> int:
    """The largest number of parts for which `pieces` finds enough."""
    return sum(_count(size, cut, LEAST_PIECE) for size, cut in zip(sizes, can_be_cut))


def enough(parts: int) -> str:
    """What to do where a corpus of files that give `parts` parts was to give more."""
    return (
        f"they can be cut into {parts} at most (a .txt and what is compressed are not cut, other files into pieces of "
        f"{LEAST_PIECE >> 10} KB); give more files, unpack them to JSON lines, or set fewer chunks"
    )


def _cut(sizes: Sequence[int], can_be_cut: Sequence[bool], files: range, most: int) -> list[Piece]:
    """Whole files, or pieces of at most `most` bytes of those that can be cut."""
    found = []
    for file in files:
        size, count = sizes[file], _count(sizes[file], can_be_cut[file], most)
        found += [Piece(file, size * i // count, size * (i + 1) // count) for i in range(count)]
    return found


def _count(size: int, can_be_cut: bool, most: int) -> int:
    return max(1, -(-size // most)) if can_be_cut else 1


def split(sizes: Sequence[int], parts: int) -> list[range]:
    """Consecutive files in `parts` ranges, as even by bytes as whole files allow; every range has a file.

    Cut k stands where the bytes before it come nearest to k / parts of all: half a file away at most, where every
    range can have a file. sizes: bytes of each file. Raises TesseraError for fewer files than parts.
    """
    count = len(sizes)
    if not 1 <= parts <= count:
        raise TesseraError(
            f"{counted(count, 'file')} cannot fill {counted(parts, 'chunk')}; give more files, or fewer chunks (at "
            "least one)"
        )
    before = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    cuts = [0]
    for part in range(1, parts):
        low, high = cuts[-1] + 1, count - parts + part  # leaves a file for each part before and after
        cuts.append(low + _nearest(before[low : high + 1], int(before[-1]) * part, parts))
    return [range(start, stop) for start, stop in zip(cuts, [*cuts[1:], count])]


def _nearest(ascending: np.ndarray, numerator: int, denominator: int) -> int:
    """The first index whose value comes nearest to numerator / denominator (exact: no float)."""
    above = int(np.searchsorted(ascending, -(-numerator // denominator)))
    nearby = range(max(above - 1, 0), min(above + 1, len(ascending)))
    best = min(nearby, key=lambda index: abs(int(ascending[index]) * denominator - numerator))
    return int(np.searchsorted(ascending, ascending[best]))
