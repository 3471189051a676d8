"""Errors meant for the user: printed as one message, without a traceback."""

import difflib
from collections.abc import Iterable


class TesseraError(Exception):
    """Something the user can mend; the message names the file, key or row and the remedy. Exit code 1."""


class UsageError(TesseraError):
    """A wrong command, key or value. Exit code 2."""


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or the list of what is known when nothing is near."""
    known = sorted(known)
    near = difflib.get_close_matches(str(wrong), known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known) or 'none'}"
