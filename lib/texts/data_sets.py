"""The rows of a data set, one after another: of a local folder in the hub's layout, or streamed from the hub."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lib.base.errors import TesseraError


def rows(
    source: str, split: str, data_files: Sequence[str] = (), revision: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """The rows of one split, in the data set's own order; nothing is copied or held.

    source: a folder (read offline) or, with `revision`, a repository of the hub. data_files: patterns in it; without
    them all files of the split. Raises TesseraError when it cannot be read, at its beginning or later.
    """
    import datasets

    datasets.disable_progress_bars()
    remote = {"revision": revision} if revision else {}
    try:
        yield from datasets.load_dataset(
            source, split=split, data_files={split: list(data_files)} if data_files else None, streaming=True, **remote
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TesseraError(f"{source}: no data set with a split '{split}' that can be read: {error}") from error


def column(row: Mapping[str, Any], name: str, where: str) -> str:
    """A string of a row; `a.b` is `b` inside `a`. Raises TesseraError naming `where` and the columns there are."""
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise TesseraError(f"{where}: no column '{name}'; it has {', '.join(map(str, row))}")
        value = value[key]
    if not isinstance(value, str):
        raise TesseraError(f"{where}: column '{name}' holds {type(value).__name__}, no text")
    return value
