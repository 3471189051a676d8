"""Keeps results of real cards in results/, and writes the table of README.md from them."""

import json
import re
from pathlib import Path

from lib.base import files
from lib.base.errors import UsageError
from tests.gpu import table
from tests.gpu.running import Found

HERE = Path(__file__).parent
TABLE = re.compile(r"^\| figure \|.*(?:\n\|.*)*", re.MULTILINE)


def kept() -> list[Found]:
    """The results that are kept, in the order of their files' names."""
    return [json.loads(file.read_bytes()) for file in sorted((HERE / "results").glob("*.json"))]


def keep(file: Path) -> None:
    """Copy a gpu.json to results/, named after card and date, and write the table. Raises UsageError for one of a
    rehearsal, and for a file that is none."""
    try:
        found = json.loads(file.read_bytes())
        about = found["about"]
        name = re.sub(r"\W+", "-", f"{about['card']}-{about['date']}").lower()
        tiny = about["tiny"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: is no gpu.json of this check ({error!r})") from error
    if tiny:
        raise UsageError(f"{file}: is of a rehearsal with tiny models; its figures say nothing about a card")
    files.write_bytes(HERE / "results" / f"{name}.json", file.read_bytes())
    page = HERE / "README.md"
    files.write_bytes(page, filled(page.read_text()).encode())
    print(f"{HERE / 'results' / name}.json and {page} written")


def filled(page: str) -> str:
    """README.md with the table of what is kept."""
    return TABLE.sub(lambda _: table.markdown(kept()), page)
