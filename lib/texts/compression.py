"""Files as blocks of bytes, unpacked if they are compressed, and blocks as lines; memory never holds more than a line.

Each way of unpacking gives blocks of at most READ_BYTES, however much a file holds, and raises ValueError for a file of
another kind or with damage in it, EOFError for one that ends too early.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import Any, BinaryIO, Protocol

from lib.base.errors import let_refusals_through

READ_BYTES = 1 << 17
LONGEST_WINDOW = 1 << 31  # archives written by `zstd --long` need it
END = b"\0the end of the archive\0"


class Readable(Protocol):
    """What gives bytes: an open file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class OtherKind(ValueError):
    """The file is no archive of the kind that its ending says."""


def plain(file: Readable) -> Iterator[bytes]:
    """The file as it is."""
    while block := file.read(READ_BYTES):
        yield block


class Part:
    """The bytes start .. stop - 1 of a file, read as if they were all of it."""

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        """Go to `start`."""
        self._file, self._left = file, stop - start
        file.seek(start)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        return block


def next_line(file: BinaryIO, place: int) -> int:
    """Where the first line begins that begins at byte `place` or later; the end of the file if none does."""
    if place == 0:
        return 0
    file.seek(place - 1)
    while block := file.read(READ_BYTES):
        if (end := block.find(b"\n")) >= 0:
            return file.tell() - len(block) + end + 1
    return file.tell()


def lines(blocks: Iterator[bytes], longest: int) -> Iterator[bytes | None]:
    """The lines of blocks without their ends, the last one even if it is empty; None for one of more than `longest`
    bytes, which is passed over without being held."""
    parts: list[bytes] = []  # of a line that goes on in the next block
    size = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        size += len(first)
        parts = [*parts, first] if size <= longest else []
        if others:
            yield b"".join(parts) if size <= longest else None
            *whole, rest = others
            yield from whole
            parts, size = [rest], len(rest)
    yield b"".join(parts) if size <= longest else None


def _gzip(file: BufferedReader) -> Iterator[bytes]:
    _check_kind(file, "gzip", b"\x1f\x8b")
    with gzip.open(file) as opened:
        yield from _unpacked(opened, zlib.error)


def _bzip2(file: BufferedReader) -> Iterator[bytes]:
    _check_kind(file, "bzip2", b"BZh")
    with bz2.open(file) as opened:
        yield from _unpacked(opened)


def _xz(file: BufferedReader) -> Iterator[bytes]:
    _check_kind(file, "xz", b"\xfd7zXZ\0")
    with lzma.open(file) as opened:
        yield from _unpacked(opened, lzma.LZMAError)


def _unpacked(opened: Readable, *damage: type[Exception]) -> Iterator[bytes]:
    expected: tuple[type[Exception], ...] = (OSError, *damage)
    try:
        yield from plain(opened)
    except expected as error:
        let_refusals_through(error)
        raise ValueError(error) from error


def _zstandard(file: BufferedReader) -> Iterator[bytes]:
    """The library takes a truncated archive for a whole one: so a frame of our own behind it must come out whole."""
    import zstandard

    _check_kind(
        file, "zstandard", b"\x28\xb5\x2f\xfd", *(bytes([kind]) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60))
    )
    source: Any = _Followed(file, zstandard.compress(END))  # the library asks for `read` alone
    rest = b""
    try:
        with zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW).stream_reader(
            source, read_across_frames=True, closefd=False
        ) as reader:
            while block := reader.read(READ_BYTES):
                rest += block
                yield rest[: -len(END)]
                rest = rest[-len(END) :]
    except zstandard.ZstdError as error:
        raise ValueError(error) from error
    if rest != END:
        raise EOFError("the last zstandard frame is incomplete")


class _Followed:
    """A file with some bytes behind its end."""

    def __init__(self, file: Readable, behind: bytes) -> None:
        self._file, self._behind = file, behind

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        if not block:
            block, self._behind = self._behind, b""
        return block


def _check_kind(file: BufferedReader, kind: str, *beginnings: bytes) -> None:
    """Raise OtherKind for a file that begins in no such way, EOFError for an empty one.

    Even an empty archive has a header, so a file without a byte was truncated.
    """
    found = file.peek(6)[:6]
    if not any(found.startswith(one) or one.startswith(found) for one in beginnings):
        raise OtherKind(f"no {kind} file, as its ending says: it begins with {found!r}")
    if not found:
        raise EOFError("the file is empty")


UNPACKED: dict[str, Callable[[BufferedReader], Iterator[bytes]]] = {
    "": plain,
    ".gz": _gzip,
    ".zst": _zstandard,
    ".zstd": _zstandard,
    ".bz2": _bzip2,
    ".xz": _xz,
}
