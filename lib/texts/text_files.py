"""Reads documents from the file formats of data sets: JSON lines and plain text (compressed or not), CSV, Parquet.

Everything is streamed: memory holds one document, or one batch of Parquet rows, at a time.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError, let_refusals_through
from lib.texts import bad_documents
from lib.texts.bad_documents import Bad, Skipped
from lib.texts.compression import UNPACKED, OtherKind, Part, lines, next_line, plain

PARQUET_ROWS = 512
LONGEST = 1 << 30  # bytes of a document; what is longer would take the memory of a node
BOM = b"\xef\xbb\xbf"
LINES = (".jsonl", ".ndjson", ".jsonlines", ".json")  # a document a line
WHOLE = ".txt"  # one document
PARQUET = ".parquet"
CSV = ".csv"  # a document a row; the first line names the columns
KINDS = (
    "JSON lines (.jsonl, .ndjson, .jsonlines, .json), CSV (.csv), Parquet (.parquet) or texts (.txt); JSON lines and "
    "texts may be packed (.gz, .zst, .bz2, .xz)"
)

UNEVEN = "not as many values as the first line has names"
SET_KEY = "set text_key (in the stage prompts: text_column)"

Items = Iterator[str | Bad]
Range = tuple[int, int]  # of bytes in a file
Blocks = Callable[[BufferedReader], Iterator[bytes]]
JSON_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object"}


def suffix(path: Path) -> str:
    """The ending that says how `path` is read, as `.jsonl.zst`. Raises TesseraError for one that is not known."""
    found = ending(path.name)
    if found is None:
        raise TesseraError(f"{path}: unknown kind of file; give {KINDS}")
    return found


def ending(name: str) -> str | None:
    """The ending that says how a file of that name is read; None if none does."""
    return max((known for known in READERS if name.lower().endswith(known)), key=len, default=None)


def is_packed(path: Path) -> bool:
    """Whether a file is compressed, by its ending. Parquet compresses its columns itself."""
    return suffix(path) not in (*LINES, WHOLE, CSV)


def can_be_cut(path: Path) -> bool:
    """Whether parts of a file can be read: lines that are not compressed, and the row groups of Parquet."""
    return suffix(path) in (*LINES, PARQUET)


def documents(
    path: Path, text_key: str = "text", skipped: Skipped | None = None, part: Range | None = None
) -> Iterator[str]:
    """The documents of one file, in its order; of JSON lines, CSV and Parquet the strings under `text_key`.

    part: (start, stop) of a file that can be cut: the lines or row groups that begin at the bytes start .. stop - 1.
    A bad one (a line from 1, a Parquet row from 0) is counted in `skipped` and empty, or without it an error: no such
    string, no JSON object, not as many values as columns, not UTF-8, more than LONGEST bytes. Raises TesseraError that
    names the file, and where it is truncated or damaged, or why it cannot be read.
    """
    try:
        items = READERS[suffix(path)](path, text_key) if part is None else _of_part(path, text_key, part)
        yield from bad_documents.texts(items, skipped)
    except OSError as error:
        raise TesseraError(unreadable(path, error)) from error


def unreadable(path: Path, error: OSError) -> str:
    """Why the operating system does not give a file or folder, and what to do."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file or folder; check the spelling"
    if isinstance(error, PermissionError):
        return f"{path}: may not be read (permission denied); change its permissions, or leave it out with a pattern"
    return f"{path}: cannot be read: {error.strerror or error}"


def natural(name: str) -> tuple[list[tuple[int, int | str]], str]:
    """A sorting key by which chunk2 comes before chunk10; names that differ are never equal (part-1, part-01)."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], name


def _of_part(path: Path, text_key: str, part: Range) -> Items:
    if not can_be_cut(path):
        raise TesseraError(f"{path}: files of this kind are read whole; unpack it to JSON lines to read a part of it")
    if suffix(path) == PARQUET:
        yield from _parquet(path, text_key, part)
        return
    with open(path, "rb") as file:
        start, stop = (next_line(file, place) for place in part)
        yield from _of_lines(plain(Part(file, start, stop)), text_key, path, f" from byte {start} on" if start else "")


def _lines_of(blocks: Blocks) -> Callable[[Path, str], Items]:
    def reader(path: Path, text_key: str) -> Items:
        with open(path, "rb") as file:
            yield from _of_lines(blocks(file), text_key, path)

    return reader


def _of_lines(blocks: Iterator[bytes], text_key: str, path: Path, since: str = "") -> Items:
    number = 0
    try:
        for number, line in enumerate(lines(blocks, LONGEST), start=1):
            where = f"{path}: line {number}{since}"
            if line is None:
                yield _too_long(where)
            elif line.strip():
                yield _of_line(line.removeprefix(BOM), text_key, where)
    except (EOFError, ValueError) as error:
        raise TesseraError(_damaged(path, f"after line {number}{since}", error)) from error


def _whole_of(blocks: Blocks) -> Callable[[Path, str], Items]:
    def reader(path: Path, text_key: str) -> Items:
        try:
            with open(path, "rb") as file:
                data = _held(blocks(file))
        except (EOFError, ValueError) as error:
            raise TesseraError(_damaged(path, "", error)) from error
        yield _too_long(str(path)) if data is None else _decoded(data.removeprefix(BOM), str(path))

    return reader


def _held(blocks: Iterator[bytes]) -> bytes | None:
    """All bytes together; None if they are more than a document may have."""
    parts, size = [], 0
    for block in blocks:
        parts.append(block)
        size += len(block)
        if size > LONGEST:
            return None
    return b"".join(parts)


def _damaged(path: Path, where: str, error: Exception) -> str:
    if isinstance(error, OtherKind):
        return f"{path}: {error}; give it the ending of what it is"
    return f"{path}: truncated or damaged{where and ' '}{where} ({error}); fetch or make it again"


def _of_line(line: bytes, text_key: str, where: str) -> str | Bad:
    text = _decoded(line, where)
    if isinstance(text, Bad):
        return text
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _no_json(text, error, where)
    if not isinstance(record, dict):
        what = f"the line is {_kind(record)}, not an object such as {{{json.dumps(text_key)}: ...}}"
        return Bad(where, "not an object", f"{what}; write one object a line")
    if text_key not in record:
        return Bad(where, "no key", f"no '{text_key}' (has: {', '.join(list(record)[:8]) or 'nothing'}); {SET_KEY}")
    return checked(record[text_key], text_key, where)


def _decoded(data: bytes, where: str) -> str | Bad:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return Bad(where, "not UTF-8", f"not UTF-8 ({error}); convert the file")


def _no_json(text: str, error: Exception, where: str) -> Bad:
    """Why a line is no JSON: the parser's own word stands in the message."""
    if isinstance(error, RecursionError):
        return Bad(where, "nested too deep", "not read: brackets are nested too deep")
    if not isinstance(error, json.JSONDecodeError):  # of numbers with more digits than Python converts
        return Bad(where, "number too large", f"not read: a number in it is too large ({error})")
    if text.lstrip().startswith("["):
        rewrite = "JSON lines have one object a line; rewrite the file (jq -c '.[]')"
        return Bad(where, "not JSON", f"a JSON array over several lines begins here, or is cut off; {rewrite}")
    if error.msg.startswith("Unterminated") or error.pos >= len(text.rstrip()):
        return Bad(where, "not JSON", f"not JSON: it ends too early ({error}); the file may be truncated")
    return Bad(where, "not JSON", f"not JSON ({error})")


def checked(value: Any, text_key: str, where: str) -> str | Bad:
    """A value as the text of a document, or why it is none."""
    if value is None:
        return Bad(where, "null", f"'{text_key}' is null; it must be a string")
    if not isinstance(value, str):
        return Bad(where, "not text", f"'{text_key}' is {_kind(value)}; it must be a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:  # JSON may spell half of a surrogate pair
        return Bad(where, "not Unicode", f"'{text_key}' is not valid Unicode ({error})")
    return value if size <= LONGEST else _too_long(where)


def _kind(value: Any) -> str:
    return "null" if value is None else JSON_KINDS.get(type(value), f"of type {type(value).__name__}")


def _too_long(where: str) -> Bad:
    return Bad(where, "too long", f"a document of more than {LONGEST:,} bytes; cut it into several")


def table(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a CSV file: where it is (file and line), and its values by column; None where a row has too few, and
    under None those of which it has too many. Raises TesseraError naming a file that is no CSV in UTF-8."""
    csv.field_size_limit(LONGEST)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            for row in rows:
                yield f"{path}: line {rows.line_num}", row
    except (csv.Error, UnicodeDecodeError) as error:
        raise TesseraError(f"{path}: not a CSV file in UTF-8 ({error}); convert it") from error


def _csv(path: Path, text_key: str) -> Items:
    for where, row in table(path):
        if text_key not in row:
            raise TesseraError(_no_column(path, text_key, [name for name in row if name]))
        yield Bad(where, "not even", UNEVEN) if is_uneven(row) else checked(row[text_key], text_key, where)


def is_uneven(row: Mapping[str, Any]) -> bool:
    """Whether a row of `table` has more or fewer values than there are columns."""
    return None in row or None in row.values()


def _parquet(path: Path, text_key: str, part: Range | None = None) -> Items:
    import pyarrow as arrow
    from pyarrow import parquet

    row = 0
    try:
        with open(path, "rb") as source, parquet.ParquetFile(source) as file:
            _check_column(file.schema_arrow, text_key, path)
            row, groups = _row_groups(file.metadata, part)
            for batch in file.iter_batches(PARQUET_ROWS, row_groups=groups, columns=[text_key]):
                for value in batch.column(0):
                    yield _of_arrow(value, text_key, f"{path}: row {row}")
                    row += 1
    except (arrow.ArrowException, OSError) as error:
        let_refusals_through(error)
        raise TesseraError(_damaged(path, f"at row {row}", error)) from error


def _row_groups(metadata: Any, part: Range | None) -> tuple[int, list[int]]:
    """The row groups that begin in a part of the file, and the number of the first row of theirs."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    start, stop = part or (0, math.inf)
    begins = [min(_begin(group.column(index)) for index in range(group.num_columns)) for group in groups]
    chosen = [index for index, begin in enumerate(begins) if start <= begin < stop]
    return sum(group.num_rows for group in groups[: chosen[0]]) if chosen else 0, chosen


def _begin(column: Any) -> int:
    pages = (column.dictionary_page_offset, column.data_page_offset)
    return min(page for page in pages if page is not None)


def _of_arrow(value: Any, text_key: str, where: str) -> str | Bad:
    try:
        return checked(value.as_py(), text_key, where)
    except UnicodeDecodeError as error:
        return Bad(where, "not UTF-8", f"not UTF-8 ({error}); convert the file")


def _check_column(schema: Any, text_key: str, path: Path) -> None:
    if text_key not in schema.names:
        raise TesseraError(_no_column(path, text_key, schema.names))


def _no_column(path: Path, text_key: str, there: Iterable[str]) -> str:
    return f"{path}: no column '{text_key}' (has: {', '.join(there)}); {SET_KEY}"


READERS: dict[str, Callable[[Path, str], Items]] = {
    **{kind + packed: _lines_of(blocks) for kind in LINES for packed, blocks in UNPACKED.items()},
    **{WHOLE + packed: _whole_of(blocks) for packed, blocks in UNPACKED.items()},
    PARQUET: _parquet,
    CSV: _csv,
}
