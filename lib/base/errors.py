"""Errors meant for the user: printed as one message, without a traceback."""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

CAUSES = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EAGAIN: "it is locked by another process",
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EIO: "the disk reports an error (EIO); look at its log",
    errno.ENOENT: "no such file",
    errno.EISDIR: "it is a folder",
}


class TesseraError(Exception):
    """Something the user can fix. The message names the file, key or row, and the remedy. Exit code 1."""


class UsageError(TesseraError):
    """A wrong command, key or value. Exit code 2."""


class Damaged(TesseraError):
    """The bytes of `file` are not those that were written. lib/artifacts/damage.py moves it aside."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(f"{file}: {what}")
        self.file = file


def cause(error: OSError) -> str:
    """Why the system refused, in plain words; what it says itself where there are none."""
    return CAUSES.get(error.errno or 0) or error.strerror or str(error)


def exit_code(error: BaseException) -> int:
    """1, or that of sysexits.h if a disk is to blame: a process that can write nothing says it by its exit code.

    os.EX_CANTCREAT for a disk that takes no more, os.EX_IOERR for one that reports an error (EIO).
    """
    numbers = {one.errno for one in chain(error) if isinstance(one, OSError)}
    if numbers & {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        return os.EX_CANTCREAT
    return os.EX_IOERR if errno.EIO in numbers else 1


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def let_refusals_through(error: Exception) -> None:
    """Raise an error of the system (permission, disk) as it is: it says nothing of what is in a file."""
    if isinstance(error, OSError) and error.errno:
        raise error


def counted(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def verb(number: int, plural: str) -> str:
    """The verb of a number of things: `need` of 2 tasks, `needs` of one."""
    return {"are": "is", "were": "was"}.get(plural, f"{plural}s") if number == 1 else plural


def listed(texts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def suggestion(wrong: Any, known: Iterable[Any]) -> str:
    """`; did you mean 'x'?`, or the list of known names if none is similar."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(wrong), known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known) or 'none'}"
