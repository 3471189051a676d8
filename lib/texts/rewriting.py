"""Writes a file of documents again with parts of some documents cut out, in its own format and compression.

JSON lines: every byte of a line but the value of the text and a new field `cut_key` stays; a line without cuts stays
whole. Parquet and CSV: all columns stay, and there is one more (of CSV as JSON; its quotes are written anew). Text
files: what is left of their document. A document of which nothing is left goes with its line or row; a text file is
then empty. A file without any cut is copied.
"""

import bz2
import contextlib
import csv
import gzip
import json
import lzma
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError
from lib.texts import text_files
from lib.texts.compression import UNPACKED, lines
from lib.texts.text_files import BOM, CSV, LONGEST, PARQUET, WHOLE

BLANKS = " \t\n\r"
LEVEL = 3  # of Zstandard
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Edited:
    """text: what is left of a document, None if nothing is; cuts: the bytes [start, stop) that went, of the original
    text in UTF-8."""

    text: str | None
    cuts: list[list[int]]


@dataclass(frozen=True)
class Edits:
    """touched: numbers of the documents that are cut, from 0 in the file; edit: called with number and text of each, in
    the order of the file, and with what went of it before; text_key, cut_key: the fields of the text and of what went;
    again: whether the file was cut before, so that it may have such a field, and the new one takes its place."""

    touched: Collection[int]
    edit: Callable[[int, str, Sequence[list[int]]], Edited]
    text_key: str = "text"
    cut_key: str = "cut"
    again: bool = False


def count(path: Path) -> int:
    """How many documents a file has, bad ones included. Raises TesseraError for one that cannot be read."""
    kind, packed = _kind(path)
    if kind == WHOLE:
        return 1
    if kind == PARQUET:
        return sum(map(len, _tables(path, columns=[])))
    if kind == CSV:
        return sum(1 for _ in _csv_rows(path))
    return sum(line is None or bool(line.strip()) for line in lines(_blocks(path, packed), LONGEST))


def rewrite(source: Path, target: Path, edits: Edits) -> None:
    """Write `source` as `target`. Raises TesseraError that names the file and the row or line."""
    kind, packed = _kind(source)
    if not edits.touched:
        shutil.copyfile(source, target)
    elif kind == PARQUET:
        _rewrite_parquet(source, target, edits)
    elif kind == CSV:
        _rewrite_csv(source, target, edits)
    else:
        blocks = _blocks(source, packed)
        parts = _whole(blocks, edits) if kind == WHOLE else _lines(lines(blocks, LONGEST), source, edits)
        with open(target, "wb") as raw, _packed(raw, packed) as out:
            for part in parts:
                out.write(part)


def _blocks(source: Path, packed: str) -> Iterator[bytes]:
    """The unpacked bytes of a file. Only errors of reading are taken for such: what fails to be written is another."""
    with _reading(source), open(source, "rb") as file:
        yield from UNPACKED[packed](file)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of reading become one that names the file."""
    try:
        yield
    except OSError as error:
        raise TesseraError(text_files.unreadable(path, error)) from error
    except (EOFError, ValueError) as error:
        raise TesseraError(f"{path}: truncated or damaged ({error}); fetch or make it again") from error


def _kind(path: Path) -> tuple[str, str]:
    """The kind of a file, and how it is packed: `.jsonl`, `.zst`."""
    ending = text_files.suffix(path)
    packed = max((one for one in UNPACKED if ending.endswith(one)), key=len)
    return ending.removesuffix(packed), packed


def _packed(raw: BufferedWriter, packed: str) -> Any:
    """What packs all that is written to it into `raw`, without time and name, so that bytes are reproducible."""
    if packed == ".gz":
        return gzip.GzipFile("", "wb", fileobj=raw, mtime=0)
    if packed in (".zst", ".zstd"):
        import zstandard

        return zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw, closefd=False)
    if packed == ".bz2":
        return bz2.BZ2File(raw, "wb")
    return lzma.LZMAFile(raw, "wb") if packed else contextlib.nullcontext(raw)


def _whole(blocks: Iterator[bytes], edits: Edits) -> Iterator[bytes]:
    data = b"".join(blocks)
    mark = BOM if data.startswith(BOM) else b""
    text = edits.edit(0, data.removeprefix(BOM).decode(), ()).text
    yield mark + text.encode() if text is not None else b""


def _lines(found: Iterator[bytes | None], source: Path, edits: Edits) -> Iterator[bytes]:
    """The lines with their ends. `lines` gives the bytes behind the last end as a line, which has none."""
    document, kept = -1, None
    for number, line in enumerate(found, start=1):
        if kept is not None:
            yield kept + b"\n"
        if line is None:
            raise TesseraError(f"{source}: line {number} has more than {LONGEST:,} bytes and cannot be kept; cut it")
        document += bool(line.strip())
        kept = _line(line, document, f"{source}: line {number}", edits) if line.strip() else line
    if kept is not None:
        yield kept


def _line(line: bytes, document: int, where: str, edits: Edits) -> bytes | None:
    """A line without its end as it is afterwards; None if its document goes."""
    if document not in edits.touched:
        return line
    mark = BOM if line.startswith(BOM) else b""
    record = line.removeprefix(BOM).decode()
    places = {key: (start, stop) for key, start, stop in _members(record)}  # of keys that are twice there the last
    if edits.cut_key in places and not edits.again:
        raise TesseraError(f"{where}: there is a field '{edits.cut_key}' already; set cut_key to another name")
    start, stop = places[edits.text_key]
    old = slice(*places[edits.cut_key]) if edits.cut_key in places else None
    edited = edits.edit(document, json.loads(record[start:stop]), json.loads(record[old]) if old else ())
    if edited.text is None:
        return None
    text = json.dumps(edited.text, ensure_ascii=record[start:stop].isascii())
    close = record.rindex("}")
    field = (close, close, f", {json.dumps(edits.cut_key)}: {json.dumps(edited.cuts)}")
    if old:
        field = (old.start, old.stop, json.dumps(edited.cuts))
    for low, high, new in sorted([(start, stop, text), field], reverse=True):
        record = record[:low] + new + record[high:]
    return mark + record.encode()


def _members(record: str) -> Iterator[tuple[str, int, int]]:
    """The keys of a JSON object, and where the value of each begins and ends."""
    at = _behind_blanks(record, record.index("{") + 1)
    while record[at] != "}":
        key, at = DECODER.raw_decode(record, at)
        start = _behind_blanks(record, _behind_blanks(record, at) + 1)
        _, stop = DECODER.raw_decode(record, start)
        yield key, start, stop
        at = _behind_blanks(record, stop)
        at = _behind_blanks(record, at + 1) if record[at] == "," else at


def _behind_blanks(record: str, at: int) -> int:
    while record[at] in BLANKS:
        at += 1
    return at


def _rewrite_csv(source: Path, target: Path, edits: Edits) -> None:
    """Row by row, in UTF-8 without a byte order mark, lines ending in LF. Rows of another length stay as they are."""
    with open(target, "w", newline="", encoding="utf-8") as file:
        out, head = csv.writer(file, lineterminator="\n"), None
        for document, row in enumerate(_csv_rows(source)):
            if head is None:
                head = _head(source, list(filter(None, row)), edits)
                out.writerow(head)
            if document in edits.touched:
                edited = edits.edit(document, row[edits.text_key], json.loads(row.get(edits.cut_key) or "[]"))
                row = {**row, edits.text_key: edited.text, edits.cut_key: json.dumps(edited.cuts)}
            if text_files.is_uneven(row) and document not in edits.touched:
                out.writerow([*(row[name] for name in row if name and row[name] is not None), *row.get(None, ())])
            elif row[edits.text_key] is not None:
                out.writerow([row.get(name, "") for name in head])


def _csv_rows(source: Path) -> Iterator[Any]:
    with _reading(source):
        yield from (row for _, row in text_files.table(source))


def _head(source: Path, there: list[str], edits: Edits) -> list[str]:
    """The columns of a table that is written again."""
    if edits.cut_key in there and not edits.again:
        raise TesseraError(f"{source}: there is a column '{edits.cut_key}' already; set cut_key to another name")
    return list(dict.fromkeys([*there, edits.cut_key]))


def _rewrite_parquet(source: Path, target: Path, edits: Edits) -> None:
    """Row group by row group, with the codec of the first column."""
    import pyarrow as arrow
    from pyarrow import parquet

    with _reading(source):
        schema, metadata = parquet.read_schema(source), parquet.read_metadata(source)
    if edits.cut_key in schema.names and not edits.again:
        raise TesseraError(f"{source}: there is a column '{edits.cut_key}' already; set cut_key to another name")
    added = arrow.field(edits.cut_key, arrow.list_(arrow.list_(arrow.uint64())))
    codec = metadata.row_group(0).column(0).compression.replace("UNCOMPRESSED", "NONE")
    changed = schema if edits.cut_key in schema.names else schema.append(added)
    with parquet.ParquetWriter(target, changed, compression=codec) as writer:
        first = 0
        for table in _tables(source):
            writer.write_table(_table(table, first, added, edits))
            first += len(table)


def _tables(source: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """The row groups of a Parquet file, with some of its columns."""
    from pyarrow import parquet

    with _reading(source), open(source, "rb") as raw, parquet.ParquetFile(raw) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns)


def _table(table: Any, first: int, added: Any, edits: Edits) -> Any:
    """The rows of a table, whose first one is document `first` of the file, as they are afterwards."""
    import pyarrow as arrow

    known = edits.cut_key in table.schema.names
    texts, kept = table[edits.text_key].to_pylist(), [True] * len(table)
    cuts = table[edits.cut_key].to_pylist() if known else [None] * len(table)
    for row in range(len(table)):
        if first + row in edits.touched:
            edited = edits.edit(first + row, texts[row], cuts[row] or ())
            texts[row], cuts[row], kept[row] = edited.text, edited.cuts, edited.text is not None
    changed = _with(table, table.schema.field(edits.text_key), texts)
    return _with(changed, added, cuts).filter(arrow.array(kept))


def _with(table: Any, field: Any, values: list) -> Any:
    """A table with these values in a column, which is new or takes the place of the one of that name."""
    import pyarrow as arrow

    column, at = arrow.array(values, field.type), table.schema.get_field_index(field.name)
    return table.append_column(field, column) if at < 0 else table.set_column(at, field, column)
