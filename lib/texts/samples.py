"""Some text of a corpus, for estimates: the beginnings of a few files."""

import contextlib
from pathlib import Path

from lib.base.errors import TesseraError
from lib.texts import text_files
from lib.texts.listing import Listing

FILES, CHARACTERS = 8, 1 << 14  # of each file, at most
LARGEST = 1 << 26  # bytes of a file of which no part can be read


def drawn(listing: Listing) -> list[str]:
    """The beginnings of some files, spread over the corpus.

    A file that cannot be read, or is damaged, gives what stands before the damage: the task that reads all says so.
    """
    step = max(1, len(listing.files) // FILES)
    chosen = list(zip(listing.files, listing.sizes))[::step][:FILES]
    readable = [file for file, size in chosen if size <= LARGEST or not _is_whole(file)]
    return [_beginning(file, listing.text_key) for file in readable]


def _is_whole(file: Path) -> bool:
    """Whether the file is one document."""
    return text_files.suffix(file).startswith(text_files.WHOLE)


def _beginning(file: Path, text_key: str) -> str:
    found = ""
    with contextlib.suppress(TesseraError):
        for document in text_files.documents(file, text_key):
            found += document[: CHARACTERS - len(found)]
            if len(found) >= CHARACTERS:
                break
    return found
