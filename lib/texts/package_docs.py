"""Text without a network: the docstrings of installed packages, one document per module.

The packages are pinned, so the text is the same wherever the pinned versions are installed.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lib.base.distributions import installed, versions
from lib.base.errors import TesseraError
from lib.texts.documents import Document

_LEGAL = re.compile(r"(licen[cs]e|copying|notice|authors)\b.*", re.IGNORECASE)
TEST_FOLDERS = frozenset({"test", "tests"})
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With)


def modules(package: str) -> list[tuple[str, Path]]:
    """(name, path) of every Python module that the distribution installed, tests left out, sorted by name.

    The list comes from the distribution's own record, so other files in its folders are left out.
    """
    distribution = installed(*package.partition("==")[::2])
    names = {file.as_posix() for file in distribution.files or () if file.suffix == ".py"}
    kept = sorted(name for name in names if not TEST_FOLDERS.intersection(name.split("/")[:-1]))
    return [(name, Path(str(distribution.locate_file(name)))) for name in kept]


def texts(package: str) -> Iterator[Document]:
    """Source, docstrings (a document a module) and licences of a distribution, whole and as they are, sorted by name.

    Left out: tests, empty files and files that are not UTF-8.
    """
    distribution = installed(package)
    recorded = {file.as_posix() for file in distribution.files or ()}
    chosen = {name for name, _ in modules(package)} | {name for name in recorded if _LEGAL.match(Path(name).name)}
    for name in sorted(chosen):
        data = Path(str(distribution.locate_file(name))).read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError:  # old modules with another encoding
            continue
        if text.strip():
            yield Document(name, text)
        if name.endswith(".py") and (documentation := "\n\n".join(_docstrings_if_python(data))):
            yield Document(f"{name}: documentation", documentation)


def docstrings(source: bytes | str) -> list[str]:
    """The docstrings of a module, its classes and functions, in the order of the source.

    Definitions inside functions are left out (they document no interface and cost most of the walk).
    Raises SyntaxError for source that does not parse.
    """
    found: list[str] = []
    pending: list[Any] = [ast.parse(source)]  # all of them have a `body`
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Module, *_DEFINITIONS)) and (text := ast.get_docstring(node)):
            found.append(text)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending.extend(child for child in reversed(node.body) if isinstance(child, _DEFINITIONS + _BLOCKS))
    return found


def paragraphs(text: str, min_characters: int = 30) -> list[str]:
    """The paragraphs (between blank lines) of at least `min_characters`, trailing blanks removed, ASCII only."""
    found = (part.strip("\n").rstrip() for part in re.split(r"\n\s*\n", text))
    return [part for part in found if len(part) >= min_characters and part.isascii()]


def unseen(parts: Iterable[str], seen: set[str]) -> list[str]:
    """The parts that are not in `seen` (ignoring case and white space). They are added to `seen`."""
    kept = []
    for part in parts:
        key = " ".join(part.lower().split())
        if key not in seen:
            seen.add(key)
            kept.append(part)
    return kept


def clip(parts: Iterable[str], max_characters: int) -> str:
    """The first parts that fit in `max_characters`, joined by blank lines (if even the first is longer, it is cut)."""
    kept: list[str] = []
    room = max_characters
    for part in parts:
        if len(part) > room:
            return "\n\n".join(kept) if kept else part[:max_characters]
        kept.append(part)
        room -= len(part) + 2
    return "\n\n".join(kept)


def corpus(
    packages: Iterable[str], min_characters: int = 200, max_characters: int = 200_000, min_paragraph: int = 30
) -> list[Document]:
    """One document per module of every package. A repeated paragraph stays in the first document only.

    Packages and modules are taken in sorted order, so the result depends on their versions alone.
    Raises TesseraError when a package is missing or nothing is left.
    """
    packages = sorted(set(packages))
    versions(packages)
    seen: set[str] = set()
    documents = []
    for name, documentation in _documentation(packages):
        parts = unseen(paragraphs(documentation, min_paragraph), seen)
        text = clip(parts, max_characters)
        if len(text) >= min_characters:
            documents.append(Document(name, text))
    if not documents:
        raise TesseraError(f"packages: no module of {', '.join(packages) or '(none)'} has documentation; name others")
    return documents


def _documentation(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        for name, path in modules(package):
            source = path.read_bytes()
            if source.count(b'"""') + source.count(b"'''") >= 2:
                yield name, "\n\n".join(_docstrings_if_python(source))


def _docstrings_if_python(source: bytes) -> list[str]:
    try:  # packages also ship templates and modules for other Python versions as .py
        return docstrings(source)
    except (SyntaxError, ValueError):
        return []
