"""Seals: the last bytes of a file that only this project reads, by which it is known to be what was written.

A seal is an xxh3 checksum (128 bits, several times as fast as SHA-256) of the bytes before it and of a label: a whole
file that stands in the place of another is found as well. HDF5 and pickle ignore bytes behind their end.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import xxhash

MARK = b"tessera\n"
SIZE = 16 + len(MARK)
PIECE = 1 << 20


def put(path: Path, label: str) -> None:
    """Seal a file that is written."""
    with open(path, "r+b") as file:
        seal = _seal(_pieces(file, path.stat().st_size), label)
        file.write(seal)


def of(data: bytes, label: str) -> bytes:
    """The seal of bytes that are written together with it."""
    return _seal([data], label)


def holds(path: Path, label: str) -> bool:
    """Whether a file ends with its seal. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size - SIZE
        return size >= 0 and _seal(_pieces(file, size), label) == file.read()


def checksum(path: Path) -> str:
    """The xxh3 checksum (128 bits, hex) of a file, for records of partial results."""
    with open(path, "rb") as file:
        return _hash(_pieces(file, os.fstat(file.fileno()).st_size)).hexdigest()


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes; the file then stands behind them."""
    while size and (piece := file.read(min(size, PIECE))):
        yield piece
        size -= len(piece)


def _hash(pieces: Iterator[bytes] | list[bytes]) -> "xxhash.xxh3_128":
    hasher = xxhash.xxh3_128()
    for piece in pieces:
        hasher.update(piece)
    return hasher


def _seal(pieces: Iterator[bytes] | list[bytes], label: str) -> bytes:
    hasher = _hash(pieces)
    hasher.update(label.encode())
    return hasher.digest() + MARK
