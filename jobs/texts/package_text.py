"""Text without a network, full of near-duplicates: source, docstrings and licences of the installed packages.

python -m jobs package_text --config FILE --out DIR

    packages: [sympy==1.14.0, ...]   # pinned, so that the bytes are the same wherever they are installed
    n_files: 20

Result part-NN.jsonl.zst: one document a line (`name`, `text`), as they are in the packages, in an order drawn from the
seed, so that every file is a fair sample of all. Nothing is deduplicated: copied licences and docstrings are wanted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.base import files
from lib.base.distributions import versions
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.texts.documents import Document
from lib.texts.package_docs import texts

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("n_files", "seed")


@dataclass(frozen=True)
class Config:
    """packages: distributions, as `name` or `name==version` (then another version is refused)."""

    packages: tuple[str, ...]
    n_files: int = 20
    seed: int = 0
    compression_level: int = 3

    def __post_init__(self) -> None:
        """Refuse no packages and no files."""
        if not self.packages or not 1 <= self.n_files <= 10_000:
            raise ValueError(f"{len(self.packages)} packages, n_files {self.n_files}: at least 1 of each is wanted")


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
