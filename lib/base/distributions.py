"""Installed distributions, at the versions that a configuration pins."""

import importlib.metadata
from collections.abc import Iterable

from lib.base.errors import TesseraError


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of every distribution in `packages` (`name` or `name==version`).

    Raises TesseraError for one that is not installed, or is there in another version than the pinned one.
    """
    found = {}
    for package in packages:
        name, _, pin = package.partition("==")
        found[name] = installed(name, pin).version
        if pin and found[name] != pin:
            raise TesseraError(f"{name} {found[name]} is installed, {pin} is wanted; pip install {name}=={pin}")
    return found


def installed(name: str, pin: str = "") -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        remedy = f"pip install {name}=={pin}" if pin else f"pip install -r env/requirements.txt, or pip install {name}"
        raise TesseraError(f"the package '{name}' is not installed; {remedy}") from error
