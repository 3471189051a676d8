"""Chooses and cuts books: the long documents that canaries are injected into, and held-out ones."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.base.errors import TesseraError, cause

TITLE = "book_title"


def first_tokens(tokenizer: Any, text: str, count: int) -> str:
    """The beginning of `text` that its first `count` tokens cover; all of it when it has no more than these.

    A character that the last token holds only in part is kept whole.
    """
    ends = _token_ends(tokenizer, text)
    return text if len(ends) <= count else text[: int(ends[count - 1])]


def count_tokens(tokenizer: Any, text: str) -> int:
    """How many tokens `text` has, special ones apart."""
    return len(_token_ends(tokenizer, text))


def choose(order: Sequence[int], text_of: Callable[[int], str], fits: Callable[[str], bool], wanted: int) -> list[int]:
    """The first `wanted` documents of `order` whose text fits, as indices in that order; fewer when it ends.

    Only as many texts are read as it takes.
    """
    chosen: list[int] = []
    for index in order:
        if len(chosen) == wanted:
            break
        if fits(text_of(index)):
            chosen.append(index)
    return chosen


def by_title(titles: Sequence[str], wanted: Sequence[str], where: str) -> list[int]:
    """The first row that has each wanted title, in the order of `wanted`.

    Raises TesseraError naming `where` and the titles that no document has.
    """
    rows = {title: row for row, title in reversed(list(enumerate(titles)))}
    if missing := [title for title in wanted if title not in rows]:
        raise TesseraError(
            f"{where}: {len(missing)} of {len(wanted)} titles are of no document, the first is {missing[0]!r}; give "
            "the data set that they are of (repo, name_column), or a file without them"
        )
    return [rows[title] for title in wanted]


def read_titles(file: Path) -> list[str]:
    """The column `book_title` of a CSV file (UTF-8), as it stands. Raises TesseraError for any other file, and for a
    title that stands in it twice."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            found = [row[TITLE] for row in csv.DictReader(lines, strict=True)]
    except OSError as error:
        raise TesseraError(_unreadable(file, error)) from error
    except UnicodeDecodeError as error:
        raise TesseraError(f"{file}: not UTF-8 ({error}); convert the file") from error
    except (KeyError, csv.Error) as error:
        raise TesseraError(f"{file}: no CSV file with a column {TITLE}: {error}") from error
    if twice := [title for row, title in enumerate(found) if title in found[:row]]:
        raise TesseraError(f"{file}: the title {twice[0]!r} stands there twice; leave one of them out")
    return found


def digest(file: Path) -> str:
    """12 hex digits of the SHA-256 of a file. Raises TesseraError if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise TesseraError(_unreadable(file, error)) from error


def _unreadable(file: Path, error: OSError) -> str:
    return f"{file}: {cause(error)}; give a CSV file of titles that can be read"


def _token_ends(tokenizer: Any, text: str) -> np.ndarray:
    from lib.tokens.tokenization import encode_with_offsets  # imports transformers

    return encode_with_offsets(tokenizer, text)[1][:, 1]
