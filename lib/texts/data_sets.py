"""Data sets in the hub's layout: rows streamed one after another, or a split of a local folder at any row."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError


def rows(
    source: str, split: str, data_files: Sequence[str] = (), revision: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """The rows of one split, in the data set's own order; nothing is copied or held.

    source: a folder (read offline) or, with `revision`, a repository of the hub. data_files: patterns in it; without
    them all files of the split. Raises TesseraError when it cannot be read, at the start or later.
    """
    files = {split: list(data_files)} if data_files else None
    remote = {"revision": revision} if revision else {}
    with _reading(source, split) as datasets:
        yield from datasets.load_dataset(source, split=split, data_files=files, streaming=True, **remote)


def load(folder: Path, split: str, columns: Sequence[str], scratch: Path) -> Any:
    """One split of a data set in a local folder (Parquet, JSON, CSV or text files), offline, with access to any row.

    The Arrow copy that `datasets` makes lies in `scratch`, which the caller removes afterwards.
    Raises TesseraError naming the folder when the files cannot be read, or the split or a column is missing.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    with _reading(str(folder), split) as datasets:
        found = datasets.load_dataset(str(folder), split=split, cache_dir=str(scratch))
    missing = [column for column in columns if column not in found.column_names]
    if missing:
        raise TesseraError(f"{folder}: no column '{missing[0]}'; it has {', '.join(found.column_names)}")
    return found


def column(row: Mapping[str, Any], name: str, where: str) -> str:
    """A string of a row; `a.b` is `b` inside `a`. Raises TesseraError naming `where` and the columns there are."""
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise TesseraError(f"{where}: no column '{name}'; it has {', '.join(map(str, row))}")
        value = value[key]
    if not isinstance(value, str):
        raise TesseraError(f"{where}: column '{name}' holds {type(value).__name__}, not text; name a text column")
    return value


@contextmanager
def _reading(source: str, split: str) -> Iterator[Any]:
    """The library, whose errors become one that names the data set."""
    import datasets

    datasets.disable_progress_bars()
    try:
        yield datasets
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TesseraError(f"{source}: no data set with a split '{split}' that can be read: {error}") from error
