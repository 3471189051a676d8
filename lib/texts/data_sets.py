"""Data sets in the hub's layout, in a local folder: rows one after another, or a split with access to any row.

Everything is read offline.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError
from lib.texts import text_files
from lib.texts.bad_documents import Bad


def rows(folder: Path, split: str, data_files: Sequence[str] = ()) -> Iterator[Mapping[str, Any]]:
    """The rows of one split, in the data set's own order; nothing is copied or held.

    data_files: patterns in the folder; without them all files of the split. Raises TesseraError when it cannot be read,
    at the start or later.
    """
    with _reading(folder, split) as datasets:
        yield from datasets.load_dataset(str(folder), split=split, data_files=_of(split, data_files), streaming=True)


def load(folder: Path, split: str, columns: Sequence[str], scratch: Path, data_files: Sequence[str] = ()) -> Any:
    """One split of a data set (Parquet, Arrow, JSON, CSV or text files), with access to any row.

    data_files: as for `rows`. The Arrow copy that `datasets` makes lies in `scratch`, which the caller removes
    afterwards.
    Raises TesseraError naming the folder when the files cannot be read, or the split or a column is missing.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    with _reading(folder, split) as datasets:
        chosen = _of(split, data_files)
        found = datasets.load_dataset(str(folder), split=split, data_files=chosen, cache_dir=str(scratch))
    missing = [column for column in columns if column not in found.column_names]
    if missing:
        raise TesseraError(f"{folder}: no column '{missing[0]}'; it has {', '.join(found.column_names)}")
    return found


def text(row: Mapping[str, Any], name: str, where: str) -> str | Bad:
    """The text of a row; `a.b` is `b` inside `a`. Raises TesseraError naming `where` and the columns there are."""
    return text_files.checked(_value(row, name, where), name, where)


def column(row: Mapping[str, Any], name: str, where: str) -> str:
    """A string of a row that every row must have. Raises TesseraError naming `where`."""
    value = text(row, name, where)
    if isinstance(value, Bad):
        raise TesseraError(f"{value}; name another column")
    return value


def _value(row: Mapping[str, Any], name: str, where: str) -> Any:
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise TesseraError(f"{where}: no column '{name}'; it has {', '.join(map(str, row))}")
        value = value[key]
    return value


def _of(split: str, data_files: Sequence[str]) -> dict[str, list[str]] | None:
    return {split: list(data_files)} if data_files else None


@contextmanager
def _reading(source: Path, split: str) -> Iterator[Any]:
    """The library, whose errors become one that names the data set."""
    import datasets
    import zstandard

    datasets.disable_progress_bars()
    damaged = (EOFError, zstandard.ZstdError, StopIteration)  # the last one comes of a file without a line
    try:
        yield datasets
    except (OSError, ValueError, *damaged, datasets.exceptions.DatasetsError) as error:
        raise TesseraError(
            f"{source}: no data set with a split '{split}' that can be read: {str(error) or 'no rows'}"
        ) from error
