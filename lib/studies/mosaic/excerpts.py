"""What was put into the training text: a canary and one of its fuzzy duplicates, each as it stands in its book."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.base.ragged import Ids
from lib.perturbations.distances import levenshtein
from lib.reporting.excerpts import AROUND, CUT, LACKING, SAME, Passage, Segment, passage
from lib.studies import texts
from lib.studies.texts import Decode

WORDS = 8  # of the book, before and behind a copy
CHARACTERS = 80  # that they have at most
WORD = r"^\s*\S+\s*|\S+\s*"  # with the blanks around it
PIECES = 3  # that are shown of a copy in pieces


@dataclass(frozen=True)
class Book:
    """A training text: its number, of how many (from 1), its text with the copies of a canary, and the characters of
    everything that was put in, (k, 2)."""

    number: int
    of: int
    text: str
    inserted: NDArray[np.int64]

    def place(self, span: Sequence[int]) -> str:
        """Where a copy was put in, in characters of the book without any."""
        lengths = self.inserted[:, 1] - self.inserted[:, 0]
        start = span[0] - lengths[self.inserted[:, 0] < span[0]].sum()
        where = f"at character {start:,} of {len(self.text) - lengths.sum():,}"
        return f"book {self.number:,} of {self.of:,}, {where}"


@dataclass(frozen=True)
class Copy:
    """One copy of a canary in its book. spans: (k, 2) characters of its k pieces (1 if it stands whole), with what was
    put around each; ids: its tokens, () where they are those of the canary."""

    book: Book
    spans: Sequence[Sequence[int]]
    ids: Ids = ()


def original(decode: Decode, canary: Ids, copy: Copy) -> Passage:
    """The canary, unchanged, between the words of its book."""
    return passage(f"The canary; {copy.book.place(copy.spans[0])}", _in_book(copy, 0, [(decode(canary), SAME)]))


def duplicate(decode: Decode, canary: Ids, copy: Copy, level: str) -> Iterator[Passage]:
    """A fuzzy duplicate with its differences from the canary, or the first PIECES of a copy in pieces."""
    if not len(copy.ids):
        for number, span in enumerate(copy.spans[:PIECES]):
            label = f"{level}; piece {number + 1} of {len(copy.spans)}; {copy.book.place(span)}"
            yield passage(label, _in_book(copy, number, [(_inside(copy.book, span), SAME)]))
        return
    edits = f"edit distance {levenshtein(list(canary), list(copy.ids)):.0f} in tokens of the model"
    found = texts.differences(decode, canary, copy.ids)
    yield passage(f"{level}; {edits}; {copy.book.place(copy.spans[0])}", _in_book(copy, 0, found))


def _inside(book: Book, span: Sequence[int]) -> str:
    return book.text[span[0] : span[1]]


def _in_book(copy: Copy, piece: int, middle: Sequence[Segment]) -> list[Segment]:
    """`middle` between the words of the book, with the separators that were put around it."""
    span, text = copy.spans[piece], copy.book.text
    body, inside = _inside(copy.book, span), "".join(part for part, mark in middle if mark != LACKING)
    lead, found, trail = body.partition(inside) if inside else ("", "", "")
    lead, trail = (lead, trail) if found else ("", "")
    before, behind = _last_words(text[: span[0]]), _first_words(text[span[1] :])
    return [(before + lead, AROUND), *middle, (trail + behind, AROUND)]


def _last_words(text: str) -> str:
    found = "".join(re.findall(WORD, text[-CHARACTERS:])[-WORDS:])
    return found if found == text else CUT + found


def _first_words(text: str) -> str:
    found = "".join(re.findall(WORD, text[:CHARACTERS])[:WORDS])
    return found if found == text else found + CUT
