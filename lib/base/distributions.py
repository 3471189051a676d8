"""Installed distributions, at the versions that a configuration pins."""

import difflib
import importlib.metadata
from collections.abc import Iterable

from lib.base.errors import TesseraError


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of every distribution in `packages` (`name` or `name==version`).

    Raises TesseraError if one is not installed, or is installed in another version than the pinned one.
    """
    found = {}
    for package in packages:
        name, _, pin = package.partition("==")
        found[name] = installed(name, pin).version
        if pin and found[name] != pin:
            raise TesseraError(f"{name} {found[name]} is installed, but {pin} is required; pip install {name}=={pin}")
    return found


def installed(name: str, pin: str = "") -> importlib.metadata.Distribution:
    """An installed distribution. Raises TesseraError with the pip command if there is none; `pin` is its version."""
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        remedy = (
            f"pip install {name}=={pin}" if pin else "look at its name, then install it (`make env`: the project's)"
        )
        raise TesseraError(f"the package '{name}' is not installed{_nearest(name)}; {remedy}") from error


def _nearest(name: str) -> str:
    """`; did you mean 'x'?`, if an installed distribution has a similar name."""
    others = {one.metadata["Name"] or "" for one in importlib.metadata.distributions()}
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.8)
    return f"; did you mean '{near[0]}'?" if near else ""
