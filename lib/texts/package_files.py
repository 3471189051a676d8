"""Three types of text without a network, from the files of installed packages: prose, source code, licence texts."""

import ast
import importlib.metadata
from collections.abc import Callable, Iterable
from pathlib import Path

from lib.base import distributions
from lib.texts import package_docs

LEGAL = ("license", "licence", "copying", "notice")  # how files of licence texts begin


def prose(source: bytes) -> str:
    """The documentation strings of a module."""
    return "\n\n".join(package_docs.docstrings(source))


def code(source: bytes) -> str:
    """A module without its documentation strings.

    Raises SyntaxError for source that does not parse, UnicodeDecodeError for source that is not UTF-8.
    """
    lines = source.decode().split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _documented(node):
            first, last = node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno
            lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(lines)


def licence(data: bytes) -> str:
    """A licence text as it is. Raises UnicodeDecodeError when it is not UTF-8."""
    return data.decode().replace("\r\n", "\n")


READERS: dict[str, Callable[[bytes], str]] = {"prose": prose, "code": code, "licences": licence}


def paths(subset: str, packages: Iterable[str]) -> list[tuple[str, Path]]:
    """(name, path) of every file of the packages (`name` or `name==version`) that a subset is read from, sorted.

    Raises TesseraError for a package that is not installed or is there in another version.
    """
    packages = list(packages)
    distributions.versions(packages)
    listed = _legal_files if subset == "licences" else package_docs.modules
    return sorted({item for package in packages for item in listed(package)})


def read(subset: str, path: Path) -> str:
    """The text of a file as the subset reads it. Empty if it is not Python or not UTF-8 (packages have such files)."""
    try:
        return READERS[subset](path.read_bytes())
    except (SyntaxError, ValueError):
        return ""


def _legal_files(package: str) -> list[tuple[str, Path]]:
    distribution = importlib.metadata.distribution(package.partition("==")[0])
    found = [file for file in distribution.files or () if file.name.lower().startswith(LEGAL)]
    kept = [file for file in found if file.suffix not in (".py", ".pyc")]
    return [(file.as_posix(), Path(str(distribution.locate_file(file)))) for file in kept]


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
