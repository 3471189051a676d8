"""Files that are whole or absent."""

import contextlib
import os
import stat
import time
from pathlib import Path

from lib.base import places
from lib.base.errors import TesseraError


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` durably and atomically. Missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = places.private(path, str(os.getpid()))
    try:
        temporary.write_bytes(data)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Make `temporary` durable and give it its final name, atomically."""
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def share(path: Path, folder: Path) -> None:
    """Let those read and write a file, too, who may do so in `folder`, which was made under the user's umask."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if (wanted := mode | (folder.stat().st_mode & 0o666)) != mode:
        path.chmod(wanted)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; linked folders are followed. Raises TesseraError for a folder that may not be
    read, and for a link back to a folder above it."""

    def refuse(error: OSError) -> None:
        raise TesseraError(f"{error.filename}: cannot be read: {error.strerror}") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        for name in folders:
            check_no_circle(Path(place, name), folder)
        found += [file for name in names if (file := Path(place, name)).is_file()]
    return sorted(found)


def check_no_circle(inner: Path, folder: Path) -> None:
    """Raise TesseraError if `inner`, somewhere below `folder`, is a link to what lies on or above the way to it."""
    if not inner.is_symlink():
        return
    target = inner.resolve()
    if any(above.resolve().is_relative_to(target) for above in inner.parents if above.is_relative_to(folder)):
        raise TesseraError(f"{inner}: a link back to a folder above it; remove it, or leave it out with a pattern")


def existing(folder: Path) -> Path:
    """The folder if it exists, else the nearest one above it that does."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def last_line(log: Path) -> str:
    """The last line of a log that is not blank; empty if there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it counts as missing but can be looked at. Returns where it is now.

    Another process may have done so already.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = path.with_name(f"{places.DAMAGED}{moment}-{path.name}")
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, kept)
    return kept
