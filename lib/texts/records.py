"""Texts with what is said of them, from files of records: JSON lines, CSV, Parquet; and text files, a record each."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.base import files
from lib.base.errors import TesseraError, let_refusals_through
from lib.texts import listing, text_files, walk
from lib.texts.compression import UNPACKED, lines
from lib.texts.listing import Listing

KINDS = f"give {text_files.KINDS}; as a file, a folder or a glob"


@dataclass(frozen=True)
class Columns:
    """Where a record has its text, and what is said of it; "" for what it does not have."""

    text: str = "text"
    name: str = ""
    label: str = ""
    group: str = ""


MADE = Columns(text="text", name="name", group="group")  # of what `write` stores


@dataclass(frozen=True)
class Record:
    """where: file and line or row; name, label, group: "" where the record says nothing."""

    where: str
    text: str
    name: str = ""
    label: str = ""
    group: str = ""


def list_files(path: Path, pattern: str = "") -> Listing:
    """The files of records that a file, a folder or a glob stands for, in natural order: those that a corpus may have
    (see lib.texts.listing), and every CSV. Raises TesseraError where there are none, or one is of an unknown kind.

    pattern: a glob of paths below a folder; "" takes all that is read.
    """
    path = Path(os.path.abspath(path.expanduser()))
    there = listing.found(path, [pattern] if pattern else [])
    if path.is_dir() and not pattern:
        tables = listing.found(path, [f"**/*{text_files.CSV}"]).files
        there = walk.Found({**there.files, **tables}, there.left_out - Counter({text_files.CSV: len(tables)}))
    if not there.files:
        raise TesseraError(f"{path}: no texts found; {KINDS}")
    ordered = sorted(there.files, key=lambda file: text_files.natural(str(file)))
    for file in ordered:
        text_files.suffix(file)
    sizes, times = (tuple(getattr(there.files[file], name) for file in ordered) for name in ("st_size", "st_mtime_ns"))
    return Listing(tuple(ordered), sizes, times, left_out=tuple(sorted(there.left_out.items())))


def read(path: Path, columns: Columns) -> Iterator[Record]:
    """The records of a file, in its order. A text file is one record without label and group; its name is the file's.

    Raises TesseraError naming file, line and columns for a column that is not there, a text that is no string, and what
    a corpus is refused for as well (see lib.texts.text_files).
    """
    try:
        ending = text_files.suffix(path)
        for where, fields in READERS[ending](path, columns):
            record = _record(where, fields, columns)
            yield replace(record, name=path.name) if ending.startswith(text_files.WHOLE) else record
    except OSError as error:
        raise TesseraError(text_files.unreadable(path, error)) from error


def columns_there(path: Path) -> list[str]:
    """The columns that the first record of a file has; none of a text file, or of one that `read` refuses."""
    kind = text_files.suffix(path)
    if kind.startswith(text_files.PARQUET):
        return _unless_damaged(path, _schema) or []
    first = None if kind.startswith(text_files.WHOLE) else _unless_damaged(path, _first)
    return list(first) if isinstance(first, dict) else []


def has_strings(path: Path) -> bool:
    """Whether the first line of a file of JSON lines is a string, not an object."""
    return text_files.suffix(path).startswith(text_files.LINES) and isinstance(_unless_damaged(path, _first), str)


def _unless_damaged(path: Path, find: Callable[[Path], Any]) -> Any:
    """What `find` says of a file, None for one that is damaged: what is wrong with it is for `read` to say."""
    try:
        return find(path)
    except (OSError, ValueError, EOFError, TesseraError) as error:  # those of pyarrow are ValueErrors
        let_refusals_through(error)
        return None


def _schema(path: Path) -> list[str]:
    from pyarrow import parquet

    return parquet.read_schema(path).names


def _first(path: Path) -> Any:
    """The first row of a CSV, or what the first line of a file of JSON lines holds; None for an empty file."""
    rows = text_files.table(path) if text_files.suffix(path).startswith(text_files.CSV) else _parsed(path)
    return next((value for _, value in rows), None)


def strings(path: Path) -> Iterator[Record]:
    """The records of a file of JSON lines that are strings: each is a text. Raises TesseraError naming another line, or
    a file that cannot be read."""
    where = str(path)
    try:
        for where, text in _parsed(path):
            if not isinstance(text, str):
                raise TesseraError(f"{where}: not a string as the lines before it; repair it")
            yield Record(where, text)
    except OSError as error:
        raise TesseraError(text_files.unreadable(path, error)) from error
    except (ValueError, EOFError) as error:
        raise TesseraError(f"{where}: what follows is no JSON, or damaged ({error}); repair it") from error


def of_fields(where: str, fields: Mapping[str, Any], columns: Columns) -> Record:
    """A row of a table as a record. Raises TesseraError as `read` does."""
    return _record(where, fields, columns)


def _record(where: str, fields: Mapping[str, Any], columns: Columns) -> Record:
    text = text_files.checked(_field(where, fields, columns.text), columns.text, where)
    if not isinstance(text, str):
        raise TesseraError(f"{text}; name another column, or repair it")
    others = (_said(where, fields, name) for name in (columns.name, columns.label, columns.group))
    return Record(where, text, *others)


def _field(where: str, fields: Mapping[str, Any], column: str) -> Any:
    if column not in fields:
        known = ", ".join(map(str, fields)) or "nothing"
        raise TesseraError(f"{where}: no column '{column}' (has: {known}); name the column that has it")
    return fields[column]


def _said(where: str, fields: Mapping[str, Any], column: str) -> str:
    value = _field(where, fields, column) if column else ""
    return "" if value is None else str(value)


Rows = Iterator[tuple[str, Mapping[str, Any]]]
Reader = Callable[[Path, Columns], Rows]


def _json_lines(path: Path, columns: Columns) -> Rows:
    for _ in text_files.documents(path, columns.text):  # names what is wrong with a line
        pass
    yield from _parsed(path)


def _parsed(path: Path) -> Iterator[tuple[str, Any]]:
    """Each line of a file of JSON lines, and where it stands. Raises ValueError or EOFError for one that is none."""
    packed = max((one for one in UNPACKED if text_files.suffix(path).endswith(one)), key=len)
    with open(path, "rb") as file:
        for number, line in enumerate(lines(UNPACKED[packed](file), text_files.LONGEST), start=1):
            if line and line.strip():
                yield f"{path}: line {number}", json.loads(line.removeprefix(text_files.BOM))


def _csv(path: Path, columns: Columns) -> Rows:
    for where, row in text_files.table(path):
        if text_files.is_uneven(row):
            raise TesseraError(f"{where}: {text_files.UNEVEN}; repair it")
        yield where, row


def _parquet(path: Path, columns: Columns) -> Rows:
    import pyarrow as arrow
    from pyarrow import parquet

    number = 0
    try:
        with open(path, "rb") as source, parquet.ParquetFile(source) as file:
            there = file.schema_arrow.names
            wanted = [name for name in vars(columns).values() if name]
            for name in wanted:
                _field(str(path), dict.fromkeys(there), name)
            for batch in file.iter_batches(text_files.PARQUET_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    yield f"{path}: row {number}", row
                    number += 1
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        let_refusals_through(error)
        raise TesseraError(f"{path}: truncated or damaged at row {number} ({error}); fetch or make it again") from error


def _whole(path: Path, columns: Columns) -> Rows:
    for text in text_files.documents(path):
        yield str(path), dict.fromkeys(vars(columns).values(), "") | {columns.text: text}


READERS: dict[str, Reader] = {
    **{kind + packed: _json_lines for kind in text_files.LINES for packed in UNPACKED},
    **{text_files.WHOLE + packed: _whole for packed in UNPACKED},
    text_files.PARQUET: _parquet,
    text_files.CSV: _csv,
}


def write(path: Path, found: Iterable[Record]) -> None:
    """Store records as JSON lines with the fields `name`, `text`, `group`, which `MADE` reads."""
    lines_ = (json.dumps({"name": one.name, "text": one.text, "group": one.group}, ensure_ascii=False) for one in found)
    files.write_bytes(path, "".join(f"{line}\n" for line in lines_).encode())
