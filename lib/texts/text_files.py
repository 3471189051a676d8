"""Reads documents from the file formats of data sets: JSON lines (plain, gzip, zstandard), Parquet, plain text.

Everything is streamed: memory holds one document, or one batch of Parquet rows, at a time.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from lib.base.errors import TesseraError

READ_BYTES = 1 << 17  # of a compressed file at a time: a block of zstandard
PARQUET_ROWS = 512
LONGEST_WINDOW = 1 << 31  # archives written by `zstd --long` need it


def suffix(path: Path) -> str:
    """The ending that says how `path` is read, as `.jsonl.zst`. Raises TesseraError for one that is not known."""
    known = [ending for ending in READERS if path.name.lower().endswith(ending)]
    if not known:
        raise TesseraError(f"{path}: unknown kind of file; use one of {', '.join(sorted(READERS))}")
    return max(known, key=len)


def documents(path: Path, text_key: str = "text") -> Iterator[str]:
    """The documents of one file, in its order; of JSON lines and Parquet the strings under `text_key`.

    Raises TesseraError that names the file, and the line (from 1) or Parquet row (from 0) that has no such string, is
    not JSON or not UTF-8, or where a truncated or damaged file ends.
    """
    reader = READERS[suffix(path)]
    try:
        yield from reader(path, text_key)
    except FileNotFoundError as error:
        raise TesseraError(f"{path}: no such file; list the corpus again") from error


def natural(name: str) -> list[tuple[int, int | str]]:
    """A sorting key by which chunk2 comes before chunk10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def _lines_of(blocks: Callable[[BufferedReader], Iterator[bytes]]) -> Callable[[Path, str], Iterator[str]]:
    def reader(path: Path, text_key: str) -> Iterator[str]:
        number = 0
        try:
            with open(path, "rb") as file:
                for number, line in enumerate(_lines(blocks(file)), start=1):
                    if line.strip():
                        yield _text(line, text_key, f"{path}: line {number}")
        except (EOFError, ValueError, zlib.error) as error:
            raise TesseraError(
                f"{path}: truncated or damaged after line {number} ({error}); fetch or make it again"
            ) from error

    return reader


def _plain(file: BufferedReader) -> Iterator[bytes]:
    while block := file.read(READ_BYTES):
        yield block


def _gzipped(file: BufferedReader) -> Iterator[bytes]:
    _check_begun(file)
    try:
        with gzip.open(file) as opened:
            yield from _plain(opened)
    except gzip.BadGzipFile as error:
        raise ValueError(error) from error


def _check_begun(file: BufferedReader) -> None:
    """Even an empty compressed file has a header, so a file without a byte was truncated."""
    if not file.peek(1):
        raise EOFError("the file is empty")


def _zstandard(file: BufferedReader) -> Iterator[bytes]:
    """Frame after frame by hand: the library's own reader takes a truncated file for a whole one."""
    import zstandard

    _check_begun(file)
    context = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW)
    frame = None
    while block := file.read(READ_BYTES):
        while block:
            frame = frame or context.decompressobj()
            try:
                yield frame.decompress(block)
            except zstandard.ZstdError as error:
                raise ValueError(error) from error
            block = frame.unused_data
            frame = None if frame.eof else frame
    if frame:
        raise EOFError("the last zstandard frame is incomplete")


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []  # of a line that goes on in the next block
    for block in blocks:
        *whole, rest = block.split(b"\n")
        if whole:
            whole[0] = b"".join([*parts, whole[0]])
            parts = []
            yield from whole
        parts.append(rest)
    yield b"".join(parts)


def _text(line: bytes, text_key: str, where: str) -> str:
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise TesseraError(f"{where}: not UTF-8 ({error}); convert the file") from error
    except (ValueError, RecursionError) as error:
        raise TesseraError(f"{where}: not JSON ({error}); the file may be truncated; fetch or make it again") from error
    if not isinstance(record, dict) or text_key not in record:
        raise TesseraError(f"{where}: no '{text_key}' (has: {_keys(record)}); set text_key")
    return _checked(record[text_key], text_key, where)


def _keys(record: object) -> str:
    return ", ".join(list(record)[:8]) if isinstance(record, dict) and record else f"a {type(record).__name__}"


def _checked(text: object, text_key: str, where: str) -> str:
    if not isinstance(text, str):
        raise TesseraError(f"{where}: '{text_key}' is a {type(text).__name__}; it must be a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON may spell half of a surrogate pair
        raise TesseraError(f"{where}: '{text_key}' is not valid Unicode ({error}); repair the record") from error
    return text


def _parquet(path: Path, text_key: str) -> Iterator[str]:
    import pyarrow as arrow
    from pyarrow import parquet

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            _check_column(file.schema_arrow, text_key, path)
            for batch in file.iter_batches(PARQUET_ROWS, columns=[text_key]):
                for value in batch.column(0):
                    yield _checked(value.as_py(), text_key, f"{path}: row {row}")
                    row += 1
    except UnicodeDecodeError as error:
        raise TesseraError(f"{path}: row {row}: not UTF-8 ({error}); convert the file") from error
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise TesseraError(f"{path}: truncated or damaged at row {row} ({error}); fetch or make it again") from error


def _check_column(schema, text_key: str, path: Path) -> None:
    if text_key not in schema.names:
        raise TesseraError(f"{path}: no column '{text_key}' (has: {', '.join(schema.names)}); set text_key")


def _whole(path: Path, text_key: str) -> Iterator[str]:
    try:
        yield path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise TesseraError(f"{path}: not UTF-8 ({error}); convert the file") from error


READERS: dict[str, Callable[[Path, str], Iterator[str]]] = {
    ".jsonl": _lines_of(_plain),
    ".json": _lines_of(_plain),
    ".jsonl.gz": _lines_of(_gzipped),
    ".json.gz": _lines_of(_gzipped),
    ".jsonl.zst": _lines_of(_zstandard),
    ".json.zst": _lines_of(_zstandard),
    ".parquet": _parquet,
    ".txt": _whole,
}
