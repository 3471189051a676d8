"""Data sets of membership whose columns are known: their records are read without naming a column.

WikiMIA and BookMIA (Shi et al. 2024, arXiv 2310.16789) have a label in each row. MIMIR (Duan et al. 2024, arXiv
2402.07841) has a member and a non-member in each row, or, as its repository keeps it, lines that are JSON strings, of
members in a folder `train` and of non-members in a folder `test`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.texts import records
from lib.texts.records import Columns, Record

MEMBER, NON_MEMBER = "member", "non-member"
FOLDERS = {"train": MEMBER, "test": NON_MEMBER}  # of files of JSON strings


@dataclass(frozen=True)
class Layout:
    """name: of the data set, "" for columns that were named; reads: the records of a row, each by its columns and its
    label, "" where a column has it."""

    name: str
    reads: tuple[tuple[Columns, str], ...]

    @property
    def columns(self) -> set[str]:
        """The columns that a row must have."""
        return {name for columns, _ in self.reads for name in vars(columns).values() if name}


LAYOUTS = (
    Layout("WikiMIA", ((Columns(text="input", label="label"), ""),)),
    Layout("BookMIA", ((Columns(text="snippet", label="label", group="book"), ""),)),
    Layout("MIMIR", ((Columns(text="member"), MEMBER), (Columns(text="nonmember"), NON_MEMBER))),
)
STRINGS = "MIMIR, a string a line"


def chosen(columns: Columns, there: Collection[str]) -> Layout:
    """How rows with the columns `there` are read: what is named by hand wins, then a column `text`, then a layout."""
    if columns == Columns() and columns.text not in there:
        for layout in LAYOUTS:
            if layout.columns <= set(there):
                return layout
    return Layout("", ((columns, ""),))


def read(path: Path, columns: Columns) -> Iterator[tuple[str, Record]]:
    """The records of a file, each with the name of the layout by which it was read, "" for none. Raises TesseraError as
    `records.read` does."""
    if columns == Columns() and path.parent.name in FOLDERS and records.has_strings(path):
        label = FOLDERS[path.parent.name]
        for number, record in enumerate(records.strings(path), start=1):
            yield STRINGS, replace(record, name=f"{path.parent.name}/{path.name} {number}", label=label)
        return
    layout = chosen(columns, records.columns_there(path))
    for row in zip(*(records.read(path, one) for one, _ in layout.reads), strict=True):
        yield from _labelled(layout, row)


def of_fields(where: str, fields: Mapping[str, Any], columns: Columns) -> Iterator[tuple[str, Record]]:
    """The records of one row, as `read` gives them."""
    layout = chosen(columns, fields)
    yield from _labelled(layout, tuple(records.of_fields(where, fields, one) for one, _ in layout.reads))


def _labelled(layout: Layout, row: tuple[Record, ...]) -> Iterator[tuple[str, Record]]:
    for record, (_, label) in zip(row, layout.reads, strict=True):
        yield layout.name, replace(record, label=label or record.label)
