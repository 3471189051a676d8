"""What a report cites, as BibTeX: the entries of sweeps/published/references.bib for its study and its attacks."""

import re
from collections.abc import Collection

from lib.base import places

FILE = places.PUBLISHED / "references.bib"
EVERY = "every"
ENTRY = re.compile(r"^@.*?^}", re.M | re.S)
KEYWORDS = re.compile(r",\n *keywords = \{(.*?)\}")


def bibtex(keywords: Collection[str]) -> str:
    """The entries for these keywords and for every report, in the order of the file, without their keywords."""
    wanted = {EVERY, *keywords}
    found = [entry for entry in ENTRY.findall(FILE.read_text(encoding="utf-8")) if wanted & keywords_of(entry)]
    return "\n\n".join(KEYWORDS.sub("", entry) for entry in found)


def keywords_of(entry: str) -> set[str]:
    """The keywords of an entry. Raises ValueError for an entry without any, which no report would cite."""
    found = KEYWORDS.search(entry)
    if not found:
        raise ValueError(f"{FILE}: {entry.splitlines()[0]} has no keywords: say which study or attack it is for")
    return set(re.split(r",\s*", found[1]))
