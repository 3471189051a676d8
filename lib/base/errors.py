"""Errors meant for the user: printed as one message, without a traceback."""

import difflib
from collections.abc import Iterable
from typing import Any


class TesseraError(Exception):
    """Something the user can fix. The message names the file, key or row, and the remedy. Exit code 1."""


class UsageError(TesseraError):
    """A wrong command, key or value. Exit code 2."""


def suggestion(wrong: Any, known: Iterable[Any]) -> str:
    """`; did you mean 'x'?`, or the list of known names if none is similar."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(wrong), known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known) or 'none'}"
