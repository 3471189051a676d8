"""One walk of a folder of texts: every file below it is taken, refused by name, or counted as left out.

Linked folders are followed. What is hidden (a name that begins with a dot) is left out, unless a pattern writes the
dot.
"""

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from lib.base import places
from lib.base.errors import TesseraError
from lib.base.files import check_no_circle
from lib.texts import text_files

# What is left out is counted by the ending of its name, or as one of these.
HIDDEN, RECORDS, FOLDERS, BARE = "hidden", "records of a run", "folders", "no ending"
ASKED_FOR = (".json", ".csv")  # data sets carry such files about themselves: they are read only where they are named
UNPACKERS = (".lz4", ".br", ".7z", ".zip", ".lzma", ".lzo", ".sz", ".snappy", ".z")  # behind an ending that is read
Parts = tuple[str, ...]  # a path below the folder
Identity = tuple[int, int]  # of a folder: device and inode


@dataclass
class Found:
    """files: those taken and their state; left_out: how many of each ending, or of another kind, were not."""

    files: dict[Path, os.stat_result] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Patterns:
    """Globs of paths below the folder: `*` stands for no `/`, `**` for any number of folders. None of them: all that is
    read."""

    globs: tuple[Parts, ...]

    def refuses(self, path: Parts) -> str | None:
        """What a file counts as that is left out; None if it is taken."""
        if self.globs:
            return None if any(_fits(path, wanted) for wanted in self.globs) else kind(path[-1])
        if hides(path):
            return hides(path)
        return kind(path[-1]) if text_files.ending(path[-1]) in (None, *ASKED_FOR) else None

    def passes(self, folder: Parts) -> str | None:
        """What a folder counts as that is not entered; None if something below it may be taken."""
        if self.globs:
            hidden = HIDDEN if folder[-1].startswith(".") else FOLDERS
            return None if any(_leads(folder, wanted) for wanted in self.globs) else hidden
        return hides(folder)


def patterns(globs: Sequence[str]) -> Patterns:
    """Globs as a walk takes them."""
    return Patterns(tuple(tuple(part for part in glob.split("/") if part not in ("", ".")) for glob in globs))


def kind(name: str) -> str:
    """What a file of that name counts as where it is left out."""
    if name.startswith("."):
        return HIDDEN
    return text_files.ending(name) or Path(name).suffix.lower().encode(errors="replace").decode() or BARE


def hides(path: Parts) -> str | None:
    """What a path counts as that no walk without patterns takes: hidden, or a record of a stage."""
    if path[-1].startswith("."):
        return HIDDEN
    return RECORDS if path[0] in places.RECORDS else None


def below(folder: Path, chosen: Patterns) -> Found:
    """The files below a folder. Raises TesseraError naming what must not be passed over: a file or folder that may not
    be read, a link that leads nowhere or back to a folder above it, two ways to one folder, a name that is not UTF-8,
    and what holds texts in a form that is not read (`.jsonl.lz4`)."""
    found, ways = Found(), dict[Identity, Path]()
    pending: list[tuple[Path, Parts]] = [(folder, ())]
    while pending:
        place, path = pending.pop()
        mine = _identity(place)
        for entry in _entries(place):
            inner = (*path, entry.name)
            is_folder = _is_folder(entry)
            left = chosen.passes(inner) if is_folder else chosen.refuses(inner)
            if left is not None:
                _check_left(entry, chosen)
                found.left_out[left] += 1
            elif is_folder:
                check_no_circle(Path(entry.path), folder)
                pending.append((Path(entry.path), inner))
            else:
                found.files[Path(entry.path)] = checked(Path(entry.path))
                _check_way(ways.setdefault(mine, place), place)
    return found


def checked(file: Path) -> os.stat_result:
    """The state of a file. Raises TesseraError unless it is one that can be read, with a name in UTF-8."""
    try:
        str(file).encode()
    except UnicodeEncodeError as error:
        raise TesseraError(f"{str(file)!r}: the name is not UTF-8; rename it") from error
    state = _state(file)
    if not stat.S_ISREG(state.st_mode):
        raise TesseraError(f"{file}: no regular file (a pipe, socket or device); remove it, or leave it out")
    if not os.access(file, os.R_OK):
        raise TesseraError(text_files.unreadable(file, PermissionError()))
    return state


def _state(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        if not path.is_symlink():
            raise TesseraError(text_files.unreadable(path, error)) from error
        where = f"{path}: a link to {os.readlink(path)}, which is not there"
        raise TesseraError(f"{where}; bring it back, or remove the link") from error
    except OSError as error:
        raise TesseraError(text_files.unreadable(path, error)) from error


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise TesseraError(text_files.unreadable(folder, error)) from error


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed: `_state` says why
        return False


def _identity(folder: Path) -> Identity:
    state = _state(folder)
    return state.st_dev, state.st_ino


def _check_left(entry: os.DirEntry, chosen: Patterns) -> None:
    """Raise TesseraError for what nobody meant to leave out: texts in a form that is not read, a link to nothing."""
    if chosen.globs or entry.name.startswith("."):
        return
    inner, packed = os.path.splitext(entry.name)
    if packed.lower() in UNPACKERS and text_files.ending(inner):
        raise TesseraError(
            f"{entry.path}: texts in a form that is not read ({packed}); unpack or convert it, or leave it out with a "
            "pattern"
        )
    if entry.is_symlink():
        _state(Path(entry.path))


def _check_way(first: Path, second: Path) -> None:
    if first != second:
        raise TesseraError(
            f"{second}: the same folder as {first}, so its files would count twice; remove the link, or leave one of "
            "the two out with a pattern"
        )


def _fits(path: Parts, wanted: Parts) -> bool:
    """Whether a path is one of those that a glob stands for."""
    if not wanted or not path:
        return not path and all(part == "**" for part in wanted)
    if wanted[0] == "**":
        return _fits(path, wanted[1:]) or (not path[0].startswith(".") and _fits(path[1:], wanted))
    return _one(path[0], wanted[0]) and _fits(path[1:], wanted[1:])


def _leads(folder: Parts, wanted: Parts) -> bool:
    """Whether something below a folder can be one of those that a glob stands for."""
    if not wanted or not folder:
        return bool(wanted)
    if wanted[0] == "**":
        return _leads(folder, wanted[1:]) or (not folder[0].startswith(".") and _leads(folder[1:], wanted))
    return _one(folder[0], wanted[0]) and _leads(folder[1:], wanted[1:])


def _one(name: str, wanted: str) -> bool:
    return fnmatchcase(name, wanted) and (not name.startswith(".") or wanted.startswith("."))
