"""Lists the input files of a corpus, in a fixed order, and checks that they have not changed since.

A file has changed if its size has, or its time and its bytes: of a corpus of at most CHECKED_BYTES the bytes are summed
up when it is listed, so that a `touch` or a copy that sets new times changes nothing. Of a larger one the time decides.
"""

import glob
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.base import hdf5, places, seals
from lib.base.errors import TesseraError, counted
from lib.texts import text_files, walk

READABLE = tuple(f"*{ending}" for ending in text_files.READERS if ending not in walk.ASKED_FOR)
CHECKED_BYTES = 10_000_000_000  # some ten seconds of reading
PACKED = 3  # bytes of text in one of a compressed file: English text gives 2.5 to 4
MOST_KINDS = 40  # of what is left out are stored by name; the rest is summed up


@dataclass(frozen=True)
class Listing:
    """files: absolute paths in the order of the corpus; sizes: bytes; mtimes: nanoseconds (as os.stat gives them).

    left_out: how many files and folders beside them are not read, by ending or kind (see lib.texts.walk).
    checksums: xxh3 of each file (128 bits, hex); none of a corpus that is too large.
    """

    files: tuple[Path, ...]
    sizes: tuple[int, ...]
    mtimes: tuple[int, ...]
    text_key: str = "text"
    left_out: tuple[tuple[str, int], ...] = ()
    checksums: tuple[str, ...] = ()

    @property
    def can_be_cut(self) -> list[bool]:
        """Whether parts of each file can be read."""
        return [text_files.can_be_cut(file) for file in self.files]


def list_files(path: Path, patterns: Sequence[str] = (), text_key: str = "text") -> Listing:
    """The corpus files that a file, a folder or a glob stands for, in natural order (chunk2 before chunk10).

    In a folder: the files below it that match the glob `patterns`, or all readable ones without patterns; what is left
    out is counted. Raises TesseraError when there are none, a file is of an unknown kind, or something must not be
    passed over (see lib.texts.walk).
    """
    there = found(Path(os.path.abspath(path.expanduser())), patterns)  # links stay: blobs have no endings
    if not there.files:
        kinds = f"none of {text_files.KINDS}; {' and '.join(walk.ASKED_FOR)} are read where a pattern names them"
        what = f"nothing matches {', '.join(patterns)}" if patterns else kinds
        beside = f", but {spelled(_most_common(there.left_out))}" if there.left_out else ""
        raise TesseraError(f"{path}: no corpus files found ({what}{beside}); check path and pattern")
    return _ordered(there, text_key)


def found(path: Path, patterns: Sequence[str]) -> walk.Found:
    """The files, of whatever kind, that a file, a folder or a glob stands for, and what is left out. path: absolute."""
    if os.path.isdir(path):
        return walk.below(path, walk.patterns(patterns))
    if os.path.exists(path) or not glob.has_magic(str(path)):
        return walk.Found({path: walk.checked(path)})
    parts = path.parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return walk.below(Path(*parts[:first]), walk.patterns(["/".join(parts[first:])]))


def _ordered(found: walk.Found, text_key: str) -> Listing:
    files = sorted(found.files, key=lambda file: text_files.natural(str(file)))
    for file in files:
        text_files.suffix(file)
    sizes, mtimes = (tuple(getattr(found.files[file], name) for file in files) for name in ("st_size", "st_mtime_ns"))
    return Listing(tuple(files), sizes, mtimes, text_key, _most_common(found.left_out))


def _most_common(left_out: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    kept = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    others = sum(count for _, count in kept[MOST_KINDS:])
    return (*kept[:MOST_KINDS], *((("others", others),) if others else ()))


def spelled(left_out: Sequence[tuple[str, int]]) -> str:
    """What was left out, in a line."""
    return "left out: " + (", ".join(f"{count} {kind}" for kind, count in left_out) or "nothing")


def among(listing: Listing, names: Sequence[str]) -> Listing:
    """The same listing, of a data set that has files of these names, most of which may not be on this machine."""
    left_out = Counter(map(walk.kind, (Path(name).name for name in names)))
    left_out.subtract(Counter(walk.kind(file.name) for file in listing.files))
    return replace(listing, left_out=_most_common(+left_out))


def fingerprint(listing: Listing) -> str:
    """Changes with the name, size or time of any file: 16 hex digits."""
    lines = [f"{file} {size} {mtime}" for file, size, mtime in zip(listing.files, listing.sizes, listing.mtimes)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def text_bytes(listing: Listing) -> float:
    """About how many bytes of text the files hold, from their sizes: PACKED times as many where they are compressed."""
    packed = (text_files.is_packed(file) for file in listing.files)
    return sum(size * (PACKED if one else 1) for size, one in zip(listing.sizes, packed))


def summed(listing: Listing) -> Listing:
    """The same listing with checksums, unless it is too large."""
    if sum(listing.sizes) > CHECKED_BYTES:
        return listing
    return replace(listing, checksums=tuple(map(checksum, listing.files)))


def checksum(file: Path) -> str:
    """xxh3 of a file's bytes: 128 bits, hex. Raises TesseraError if it cannot be read."""
    try:
        return seals.checksum(file)
    except OSError as error:
        raise TesseraError(text_files.unreadable(file, error)) from error


def same_bytes(earlier: Listing, now: Listing) -> bool:
    """Whether two listings are of the same files with the same bytes. Files whose time differs are read."""
    if (earlier.files, earlier.sizes) != (now.files, now.sizes):
        return False
    return all(
        earlier.mtimes[index] == now.mtimes[index] or _has_listed_bytes(earlier, index)
        for index in range(len(now.files))
    )


def check_unchanged(listing: Listing, index: int) -> None:
    """Raise TesseraError when file `index` is gone, or is not what was listed."""
    file = listing.files[index]
    try:
        stat = file.stat()
    except FileNotFoundError as error:
        raise TesseraError(f"{file}: deleted since the corpus was listed; bring it back or plan again") from error
    except OSError as error:
        raise TesseraError(text_files.unreadable(file, error)) from error
    same_time = stat.st_mtime_ns == listing.mtimes[index]
    if stat.st_size != listing.sizes[index] or not (same_time or _has_listed_bytes(listing, index)):
        raise TesseraError(f"{file}: changed since the corpus was listed; plan again, to read all of it anew")


def _has_listed_bytes(listing: Listing, index: int) -> bool:
    return bool(listing.checksums) and checksum(listing.files[index]) == listing.checksums[index]


def write(path: Path, listing: Listing) -> None:
    """Store a listing: texts `files`, `sizes` (uint64), `mtimes_ns` (int64), `xxh3` (bytes, none of a large corpus),
    attributes `text_key`, `left_out` (JSON)."""
    with hdf5.create(path) as file:
        hdf5.write_texts(file, "files", list(map(str, listing.files)))
        hdf5.write(file, "sizes", np.array(listing.sizes, "<u8"))
        hdf5.write(file, "mtimes_ns", np.array(listing.mtimes, "<i8"))
        hdf5.write(file, "xxh3", np.array(listing.checksums, "S32"))
        file.attrs["text_key"] = listing.text_key
        file.attrs["left_out"] = json.dumps(dict(listing.left_out))


def read(path: Path) -> Listing:
    """What `write` stored."""
    files = tuple(map(Path, hdf5.read_texts(path, "files")))
    sizes, mtimes = hdf5.read(path, "sizes").tolist(), hdf5.read(path, "mtimes_ns").tolist()
    stored = hdf5.attributes(path)
    left_out = json.loads(str(stored.get("left_out", "{}")))  # older files have neither this nor checksums
    sums = [value.decode() for value in hdf5.read(path, "xxh3").tolist()] if "left_out" in stored else []
    return Listing(files, tuple(sizes), tuple(mtimes), str(stored["text_key"]), tuple(left_out.items()), tuple(sums))


def open_input(path: Path) -> Listing:
    """A stage's input as a listing: the artifact of the stage corpus, its file, or text files themselves, of which a
    line says what is left out."""
    if (path / places.CORPUS).is_file():
        return read(path / places.CORPUS)
    if path.suffix == ".h5":
        return read(path)
    found = list_files(path)
    print(f"{path}: {counted(len(found.files), 'file')}; {spelled(found.left_out)}", flush=True)
    return found
