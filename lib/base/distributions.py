"""Installed distributions, at the versions that a configuration pins.

Who reads that a package is missing installs it, and on PyPI a name may be anybody's. So only what this project pins in
env/*.txt is ever said to be installed.
"""

import difflib
import functools
import importlib.metadata
import re
from collections.abc import Iterable

from lib.base import places
from lib.base.errors import TesseraError

OF_MAKE_ENV = ("requirements.txt", "constraints.txt", "weights.txt")
LINE = re.compile(r"^([\w.-]+)==([^\s;#]+)", re.MULTILINE)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of every distribution in `packages` (`name` or `name==version`).

    Raises TesseraError if one is not installed, or is installed in another version than the pinned one.
    """
    found = {}
    for package in packages:
        name, _, pin = package.partition("==")
        found[name] = installed(name, pin).version
        if pin and found[name] != pin:
            raise TesseraError(f"{name} {found[name]} is installed, but {pin} is required; {remedy(name, pin)}")
    return found


def installed(name: str, pin: str = "") -> importlib.metadata.Distribution:
    """An installed distribution. Raises TesseraError with what to do if there is none; `pin` is its version."""
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise TesseraError(f"the package '{name}' is not installed{_nearest(name)}; {remedy(name, pin)}") from error


def remedy(name: str, pin: str = "") -> str:
    """How to get a package that is pinned in env/, and that any other has to be another one. `pin`: its version."""
    file, version = _pinned().get(_normalised(name), ("", ""))
    if not file:
        return "this project does not use such a package: correct the name"
    if pin not in ("", version):
        return f"this project uses {version}: name that, or no version"
    return "`make env` installs it" if file in OF_MAKE_ENV else f".venv/bin/pip install -r env/{file}"


@functools.cache
def _pinned() -> dict[str, tuple[str, str]]:
    """Distribution -> the first file in env/ that pins it, and its version; those of `make env` first."""
    files = sorted((places.ROOT / "env").glob("*.txt"), key=lambda file: file.name not in OF_MAKE_ENV)
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        for name, version in LINE.findall(file.read_text(encoding="utf-8")):
            found.setdefault(_normalised(name), (file.name, version))
    return found


def _normalised(name: str) -> str:
    """A name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _nearest(name: str) -> str:
    """`; did you mean 'x'?`, if an installed distribution has a similar name."""
    others = {one.metadata["Name"] or "" for one in importlib.metadata.distributions()}
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.8)
    return f"; did you mean '{near[0]}'?" if near else ""
