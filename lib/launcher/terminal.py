"""What the launcher prints and asks, and where that may fail: a closed pipe, a terminal that is gone, a full disk."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from lib.base.errors import TesseraError

_keyboard: TextIO | None = None  # of whoever typed the command, if somebody can read our question and answer it


class OutputError(TesseraError):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.is_closed = error.errno == errno.EPIPE  # its reader has read enough, as `head` does


class _Output:
    """Standard output whose errors say that they are its own."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with _named():
            return self.stream.write(text)

    def flush(self) -> None:
        with _named():
            self.stream.flush()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error) from error


def prepare() -> None:
    """Let no character, and no stream that is closed or full, end the launcher with a traceback. Only `ask` reads.

    A stream that the shell has closed is opened to nowhere: else the next file would be opened in its place.
    """
    global _keyboard
    if _is_ours(0) and os.isatty(1):
        _keyboard = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)  # no program that we start waits for an answer
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup(nowhere), "w"))
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    sys.stdout = _Output(sys.stdout)


def _is_ours(file: int) -> bool:
    """Whether a file is the terminal in whose foreground this process is: one in the background would be stopped."""
    try:
        return os.tcgetpgrp(file) == os.getpgrp()
    except OSError:
        return False


def ask(question: str) -> str | None:
    """The line that is typed after a question; None if standard input and output are no terminal."""
    if _keyboard is None:
        return None
    sys.stdout.write(question)
    sys.stdout.flush()
    return _keyboard.readline()


def silence() -> None:
    """Let what is left unwritten go nowhere, or Python complains of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
