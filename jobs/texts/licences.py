"""Take the licence texts of installed packages, each once.

    python -m jobs licences --config FILE --out DIR

It has no inputs and needs no network. FILE holds:

    packages: [numpy==2.2.6, scipy==1.15.3]

Result licences.jsonl: one text a line (`name`: its file, `text`, `group`: empty), sorted by name. Of texts that differ
in white space and case alone the first stays.
"""

from dataclasses import dataclass
from pathlib import Path

from lib.base.errors import TesseraError
from lib.texts import package_files, passages, records
from lib.texts.records import Record

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Of which packages.

    packages: installed distributions, as `name` or `name==version` (then any other version is an error)
    """

    packages: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for an empty list of packages."""
        if not self.packages:
            raise ValueError("packages is empty; name at least 1")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Collect the texts and write them. Raises TesseraError where there are none."""
    texts: dict[str, Record] = {}
    for name, path in package_files.paths("licences", config.packages):
        text = package_files.read("licences", path)
        if text.strip():
            texts.setdefault(passages.normalised(text), Record("", text, name))
    if not texts:
        raise TesseraError(f"no licence text in {', '.join(config.packages)}; name other packages")
    records.write(out / "licences.jsonl", list(texts.values()))
    print(f"licences: {len(texts)} different texts of {len(config.packages)} packages")
