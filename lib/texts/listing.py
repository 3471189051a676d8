"""Lists the input files of a corpus, in a fixed order, and checks that they have not changed since."""

import glob
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.texts import text_files

ASKED_FOR = (".json",)  # data sets carry such files about themselves: they are read only where a pattern names them
READABLE = tuple(f"*{ending}" for ending in text_files.READERS if ending not in ASKED_FOR)


@dataclass(frozen=True)
class Listing:
    """files: absolute paths in the order of the corpus; sizes: bytes; mtimes: nanoseconds (as os.stat gives them)."""

    files: tuple[Path, ...]
    sizes: tuple[int, ...]
    mtimes: tuple[int, ...]
    text_key: str = "text"


def list_files(path: Path, patterns: Sequence[str] = (), text_key: str = "text") -> Listing:
    """The corpus files that a file, a folder or a glob stands for, in natural order (chunk2 before chunk10).

    In a folder: the files below it that match the glob `patterns`, or all readable ones without patterns.
    Raises TesseraError when there are none, or a file is of an unknown kind.
    """
    found = _found(path, patterns)
    if not found:
        known = ", ".join(sorted(text_files.READERS))
        what = f"nothing matches {', '.join(patterns)}" if patterns else f"none of {known}"
        raise TesseraError(f"{path}: no corpus files found ({what}); check path and pattern")
    return of_files(found, text_key)


def of_files(files: Iterable[Path], text_key: str = "text") -> Listing:
    """The listing of these files, in natural order. Raises TesseraError for a file of an unknown kind."""
    found = sorted(files, key=lambda file: text_files.natural(str(file)))
    for file in found:
        text_files.suffix(file)
    stats = [file.stat() for file in found]
    sizes, mtimes = tuple(stat.st_size for stat in stats), tuple(stat.st_mtime_ns for stat in stats)
    return Listing(tuple(found), sizes, mtimes, text_key)


def fingerprint(listing: Listing) -> str:
    """Changes with the name, size or time of any file: 16 hex digits."""
    lines = [f"{file} {size} {mtime}" for file, size, mtime in zip(listing.files, listing.sizes, listing.mtimes)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def check_unchanged(listing: Listing, index: int) -> None:
    """Raise TesseraError when file `index` is gone, or is not what was listed."""
    file = listing.files[index]
    try:
        stat = file.stat()
    except FileNotFoundError as error:
        raise TesseraError(f"{file}: deleted since the corpus was listed; bring it back or plan again") from error
    if (stat.st_size, stat.st_mtime_ns) != (listing.sizes[index], listing.mtimes[index]):
        raise TesseraError(f"{file}: changed since the corpus was listed; plan again, to read all of it anew")


def write(path: Path, listing: Listing) -> None:
    """Store a listing: texts `files`, `sizes` (uint64), `mtimes_ns` (int64), attribute `text_key`."""
    with hdf5.create(path) as file:
        hdf5.write_texts(file, "files", list(map(str, listing.files)))
        hdf5.write(file, "sizes", np.array(listing.sizes, "<u8"))
        hdf5.write(file, "mtimes_ns", np.array(listing.mtimes, "<i8"))
        file.attrs["text_key"] = listing.text_key


def read(path: Path) -> Listing:
    """What `write` stored."""
    files = tuple(map(Path, hdf5.read_texts(path, "files")))
    sizes, mtimes = hdf5.read(path, "sizes").tolist(), hdf5.read(path, "mtimes_ns").tolist()
    return Listing(files, tuple(sizes), tuple(mtimes), str(hdf5.attributes(path)["text_key"]))


def open_input(path: Path) -> Listing:
    """A stage's input as a listing: the artifact of the stage corpus, its file, or text files themselves."""
    if (path / places.CORPUS).is_file():
        return read(path / places.CORPUS)
    return read(path) if path.suffix == ".h5" else list_files(path)


def _found(path: Path, patterns: Sequence[str]) -> set[Path]:
    path = Path(os.path.abspath(path.expanduser()))  # links stay: files of the hub cache have no endings behind them
    if path.is_dir():
        below = [file for pattern in patterns or ("**/*",) for file in path.glob(pattern)]
        return {file for file in below if file.is_file() and (patterns or _meant(file.relative_to(path)))}
    if path.exists():
        return {path}
    matches = glob.glob(str(path), recursive=True) if glob.has_magic(str(path)) else []
    if not matches and not glob.has_magic(str(path)):
        raise TesseraError(f"{path}: no such file or folder; check the path")
    return {Path(match) for match in matches if os.path.isfile(match)}


def _meant(below: Path) -> bool:
    endings = [ending for ending in text_files.READERS if below.name.lower().endswith(ending)]
    hidden = any(part.startswith(".") for part in below.parts)
    return (
        bool(endings) and max(endings, key=len) not in ASKED_FOR and not hidden and below.parts[0] not in places.RECORDS
    )
