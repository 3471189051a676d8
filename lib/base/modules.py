"""Modules that stand in a list of names, such as the attacks: loaded, and checked for what each must declare."""

import importlib
from collections.abc import Iterable
from types import ModuleType

from lib.base.errors import TesseraError


def load(package: str, name: str, declares: Iterable[str]) -> ModuleType:
    """The module `<package>.<name>`. Raises TesseraError if there is no such file, or it lacks a declaration."""
    try:
        module = importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{name}":
            raise
        file = f"{package.replace('.', '/')}/{name}.py"
        raise TesseraError(f"{name} stands in the list NAMES of {package}, but there is no file {file}") from error
    if missing := [wanted for wanted in declares if not hasattr(module, wanted)]:
        raise TesseraError(f"{module.__file__}: {missing[0]} is missing; it must declare {', '.join(declares)}")
    return module
