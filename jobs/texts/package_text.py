"""Take source, documentation and licences of installed packages as a corpus full of near-duplicates.

    python -m jobs package_text --config FILE --out DIR

It has no inputs and needs no network. FILE holds:

    packages: [sympy==1.14.0, ...]   # pinned, so that the bytes are the same wherever they are installed
    n_files: 20

Result part-NN.jsonl.zst: one document per line (`name`, `text`), exactly as it is in its package. The order is drawn
from the seed, so every file is a fair sample of all documents. Nothing is deduplicated: copied licences and
documentation are what the corpus is for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.base import files
from lib.base.distributions import versions
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.costs.facts import Facts, Given
from lib.texts.documents import Document
from lib.texts.package_docs import texts

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("n_files", "seed")


@dataclass(frozen=True)
class Config:
    """Which documents, and in how many files.

    packages: installed distributions, as `name` or `name==version` (then any other version is an error)
    n_files: how many files are written, 1 to 10000
    seed: the seed of the order of the documents
    compression_level: the level of Zstandard; a higher one makes smaller files and takes longer
    """

    packages: tuple[str, ...]
    n_files: int = 20
    seed: int = 0
    compression_level: int = 3

    def __post_init__(self) -> None:
        """Raise ValueError for an empty list of packages, and a number of files that is out of range."""
        if not self.packages:
            raise ValueError("packages is empty; name at least 1")
        if not 1 <= self.n_files <= 10_000:
            raise ValueError(f"n_files is {self.n_files}; it must be at least 1 and at most 10000")


def facts(config: Config, given: Given) -> Facts:
    """How many files, which are not cut."""
    return Facts(parts=config.n_files)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Collect the documents and write the files."""
    import zstandard

    found = versions(config.packages)
    documents = [document for package in sorted(found) for document in texts(package)]
    if len(documents) < config.n_files:
        raise TesseraError(
            f"{len(documents)} documents of {', '.join(config.packages)} cannot fill {config.n_files} files; "
            "name more packages or lower n_files"
        )
    order = generator(config.seed, "package text").permutation(len(documents)).tolist()
    for number in range(config.n_files):
        lines = b"".join(_lines(documents, order[number :: config.n_files]))
        packed = zstandard.ZstdCompressor(level=config.compression_level).compress(lines)
        files.write_bytes(out / f"part-{number:02d}.jsonl.zst", packed)
    size = sum(len(document.text) for document in documents)
    print(f"package_text: {len(documents)} documents, {size / 1e6:.1f} M characters, {config.n_files} files")


def _lines(documents: list[Document], chosen: list[int]) -> Iterator[bytes]:
    for index in chosen:
        record = {"name": documents[index].name, "text": documents[index].text}
        yield json.dumps(record, ensure_ascii=False).encode() + b"\n"
