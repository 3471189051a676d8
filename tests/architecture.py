"""Who may import whom: the packages of lib/, the stages, the command line. A package uses its own modules freely.

And what no file may do with an error of the system."""

import ast
from collections.abc import Iterator
from pathlib import Path

from lib.base.places import ROOT

MAY_IMPORT = {
    "base": "",
    "kernels": "base",
    "statistics": "base",
    "texts": "base",
    "tokens": "base",
    "reporting": "base",
    "artifacts": "base",
    "costs": "base",
    "plans": "base artifacts costs",
    "running": "base artifacts plans",
    "models": "base artifacts kernels tokens",
    "generation": "base kernels tokens models",
    "training": "base artifacts statistics tokens models",
    "corpus": "base kernels",
    "canaries": "base tokens training",
    "perturbations": "base artifacts tokens models canaries corpus",
    "attacks": "base tokens models canaries",
    "prefix": "base tokens models generation",
    "audit": "base tokens attacks prefix",
    "jobs": "base artifacts costs statistics texts tokens models generation training corpus canaries perturbations "
    "attacks prefix audit",
    "studies": "base artifacts plans statistics reporting texts tokens models corpus perturbations attacks prefix "
    "audit",
    "launcher": "base artifacts costs plans running models statistics studies",
    "launch": "base plans running launcher",
}


def offences() -> Iterator[str]:
    """Every import that the table does not allow, those inside functions as well: file, line, and what is wrong."""
    for file in _code():
        package = _package(_module(file))
        for line, module in _imports(file):
            imported = _package(module)
            if imported and imported != package and imported not in MAY_IMPORT.get(package, "").split():
                yield f"{file.relative_to(ROOT)}:{line}: {package or 'lib'} may not import {'.'.join(module)}"


def _code() -> list[Path]:
    return [ROOT / "launch.py", *sorted((ROOT / "jobs").rglob("*.py")), *sorted((ROOT / "lib").rglob("*.py"))]


def _module(file: Path) -> tuple[str, ...]:
    return file.relative_to(ROOT).with_suffix("").parts


def _package(module: tuple[str, ...]) -> str:
    if module[0] == "lib":
        return module[1] if len(module) > 1 and module[1] != "__init__" else ""
    return module[0] if module[0] in ("jobs", "launch") else ""


def _imports(file: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, (*node.module.split("."), alias.name)) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)


def test_every_import_is_allowed() -> None:
    found = list(offences())
    assert not found, "\n".join(found)


def test_no_arrow_points_upwards() -> None:
    """Each package uses only those above it in the table, so that no circle is possible; each one is in the table."""
    names = list(MAY_IMPORT)
    for place, (package, allowed) in enumerate(MAY_IMPORT.items()):
        assert set(allowed.split()) <= set(names[:place]), package
    assert {file.parent.name for file in (ROOT / "lib").glob("*/__init__.py")} == set(names) - {"jobs", "launch"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """At their head: an import inside a function waits until it is called."""
    files = {module: file for file in _code() for module in [".".join(_module(file))]}
    heads = {module: {m for m in _heads(file) if m in files} for module, file in files.items()}
    done: set[str] = set()
    while ready := {module for module in heads if module not in done and heads[module] <= done}:
        done |= ready
    assert sorted(set(heads) - done) == []


def test_packages_hold_no_code_of_their_own() -> None:
    """Whoever imports one module of a package gets no other with it: planning imports nothing heavy."""
    for file in (ROOT / "lib").rglob("*/__init__.py"):
        assert all(isinstance(node, ast.Expr) for node in ast.parse(file.read_text()).body), file


def _heads(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (name for alias in node.names for name in (node.module, f"{node.module}.{alias.name}"))


# Handlers that say in another way what the system said: by the error's text, or by words of their own for each cause.
TELLS_THE_CAUSE = ["cause", "let_refusals_through", "explain", "unreadable", "_refused"]
TELLS_THE_CAUSE += ["_TryAgainError", "SchedulerUnavailable"]  # ends with the error's own words


def test_no_handler_takes_a_refusal_of_the_system_for_something_else() -> None:
    """Who catches OSError with other errors must not call a full disk or a permission a damaged file."""
    found = [f"{file.relative_to(ROOT)}:{node.lineno}" for file in _code() for node in _renaming_handlers(file)]
    assert not found, "call let_refusals_through(error) of lib/base/errors.py first: " + ", ".join(found)


def _renaming_handlers(file: Path) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple | ast.Name):
            inside = [part for line in node.body for part in ast.walk(line)]
            caught = {ast.unparse(part) for part in getattr(node.type, "elts", [node.type])}
            called = {ast.unparse(part.func).split(".")[-1] for part in inside if isinstance(part, ast.Call)}
            mixed = "Exception" in caught or ("OSError" in caught and not caught <= {"OSError", "TesseraError"})
            raises = any(isinstance(part, ast.Raise) and part.exc for part in inside)
            if mixed and raises and called.isdisjoint(TELLS_THE_CAUSE):
                yield node
