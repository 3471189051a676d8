"""Data sets in the hub's layout, in a local folder: rows one after another, or a split with access to any row.

Everything is read offline.
"""

import functools
import glob
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError, counted
from lib.texts import listing, text_files, walk
from lib.texts.bad_documents import Bad

OF_HUB = ("repo", "revision", "split", "data_files")
OF_SOURCE = ("name_column", "subset_column")  # where a stage names its source


def unused(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a stage's configuration that say what is read of a data set, where it reads something else."""
    if "repo" not in config or (config["repo"] and config.get("source", "hub") == "hub"):
        return ()
    return (*OF_HUB, *OF_SOURCE) if "source" in config else OF_HUB


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


def local(folder: Path, split: str, data_files: Sequence[str]) -> list[str]:
    """What to give as `data_files` to read a split of a local folder: its files, linked folders included, each alone.

    Without patterns nothing: the library chooses by the names of files and folders. A line says what is left out.
    Raises TesseraError for what must not be passed over (see lib.texts.walk), such as a linked folder that the library
    would not enter.
    """
    there = walk.below(folder, walk.patterns(["**"]))
    if data_files:
        found = [sorted(map(str, walk.below(folder, walk.patterns([one])).files)) for one in data_files]
        chosen = list(dict.fromkeys(file for files in found for file in files))
        if not chosen:
            raise TesseraError(f"{folder}: nothing matches {', '.join(data_files)}; check data_files")
    else:
        with _reading(folder, split) as datasets:
            known = datasets.load_dataset_builder(str(folder)).config.data_files or {}
        chosen = [str(file) for file in known.get(split, ())]
        _check_entered(folder, there.files, chosen)
    left_out = there.left_out + Counter(walk.kind(file.name) for file in there.files if str(file) not in set(chosen))
    print(
        f"{folder}: {counted(len(chosen), 'file')} of split '{split}'; {listing.spelled(left_out.most_common())}",
        flush=True,
    )
    return [glob.escape(file) for file in chosen] if data_files else []


def _check_entered(folder: Path, there: Iterable[Path], chosen: Sequence[str]) -> None:
    """Raise TesseraError for a file behind a linked folder that the library has not entered."""
    for file in set(there) - set(map(Path, chosen)):
        if linked := [place for place in file.parents if place.is_relative_to(folder) and place.is_symlink()]:
            raise TesseraError(
                f"{linked[0]}: a linked folder, which the library `datasets` does not enter; name them in data_files"
            )


def fingerprint(folder: Path) -> str:
    """Changes with the name or bytes of any file below a folder (of more than 10 GB: its time): 16 hex digits."""
    found = walk.below(folder, walk.patterns(["**"])).files
    large = sum(state.st_size for state in found.values()) > listing.CHECKED_BYTES
    lines = [
        f"{file.relative_to(folder)} {state.st_size} {state.st_mtime_ns if large else _sum(file, state.st_mtime_ns)}"
        for file, state in sorted(found.items())
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def pinned(config: Any) -> Any:
    """`config` of a stage (`source`, `repo`, `fingerprint`) with the fingerprint of a local `repo` as it is now."""
    if config.source != "hub" or not Path(config.repo).is_dir():
        return config
    return replace(config, fingerprint=fingerprint(Path(config.repo).resolve()))


def check_pinned(config: Any) -> None:
    """Raise TesseraError if a local `repo` is not what it was when it was pinned."""
    if config.fingerprint and pinned(config) != config:
        raise TesseraError(f"{config.repo}: the files changed since this run was planned; submit the sweep again")


@functools.lru_cache(maxsize=10_000)  # a plan asks for one folder once a seed
def _sum(file: Path, mtime: int) -> str:
    return listing.checksum(file)


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
    for key in [name] if name in row else name.split("."):
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
        if isinstance(cause := error.__cause__ or error, OSError) and cause.errno:  # the disk, not what is on it
            raise TesseraError(text_files.unreadable(Path(cause.filename or source), cause)) from error
        raise TesseraError(
            f"{source}: no data set with a split '{split}' that can be read: {str(error) or 'no rows'}"
        ) from error
