"""Canaries and duplicates in their books, injected by the stage's own functions."""

import numpy as np
import pytest

from lib.artifacts import store
from lib.base import hdf5
from lib.canaries import injection
from lib.reporting.excerpts import AROUND, CHANGED, LACKING, SAME, Passage
from lib.studies.mosaic import excerpts, reading

BOOK = " ".join(f"word{number}" for number in range(200))
CANARY, VARIED = [7, 8, 9, 10], [7, 3, 9, 10, 11]


def spelled(ids) -> str:
    return "-".join(f"t{one}" for one in ids) + "-" if len(ids) else ""


def text(passage: Passage, *marks: str) -> str:
    return "".join(part for part, mark in passage.segments if mark in marks)


def injected(kind: str, copies: list[str], places: list[int]) -> injection.Injected:
    return injection.inject(BOOK, copies, np.array(places), injection.edges(kind, "\n"))


@pytest.mark.parametrize("kind", ["separator", "space", "glued"])
def test_each_copy_stands_between_the_words_that_were_around_its_place(kind: str) -> None:
    before_a_word = kind != "separator"
    slots = injection.slots(BOOK, before_a_word)
    places = [int(slots[150]), int(slots[40])]  # the original is behind its duplicate
    document = injected(kind, [spelled(CANARY), spelled(VARIED)], places)
    book = excerpts.Book(3, 5, document.text, document.spans)
    original = excerpts.original(spelled, CANARY, excerpts.Copy(book, document.spans[:1]))
    (duplicate,) = excerpts.duplicate(spelled, CANARY, excerpts.Copy(book, document.spans[1:], VARIED), "R = 2")
    for passage, place in ((original, places[0]), (duplicate, places[1])):
        words = text(passage, AROUND).replace("…", "").split()
        assert words == [*BOOK[:place].split()[-8:], *BOOK[place:].split()[:8]]
        assert f"book 3 of 5, at character {place:,} of {len(BOOK):,}" in passage.label
    assert text(original, SAME) == spelled(CANARY)
    assert "R = 2; edit distance 2" in duplicate.label
    assert (text(duplicate, SAME, CHANGED), text(duplicate, LACKING)) == (spelled(VARIED), "t8-")


def test_a_copy_at_the_end_of_a_book_has_nothing_behind_it() -> None:
    document = injected("separator", [spelled(CANARY)], [len(BOOK)])
    passage = excerpts.original(
        spelled, CANARY, excerpts.Copy(excerpts.Book(1, 1, document.text, document.spans), document.spans)
    )
    assert text(passage, AROUND).endswith("word199\n\n")


def test_copies_are_read_as_they_were_written_whole_or_in_pieces(tmp_path) -> None:
    pieces, owner = injection.scatter(CANARY, 3, 2)
    places = injection.choose_slots(BOOK, len(pieces), 1, 0)
    document = injection.inject(BOOK, [spelled(piece) for piece in pieces], places, injection.edges("separator", "\n"))
    with hdf5.create(tmp_path / "injected.h5") as file:
        hdf5.write_texts(file, "text", ["ünï", document.text])
        hdf5.write(file, "spans", np.stack([document.spans, document.spans]))
        hdf5.write(file, "copy", owner)
    store.write_done(tmp_path, "0" * 12, "inject", 1)
    found = reading.copies(tmp_path / "injected.h5", 1)
    assert [len(copy.spans) for copy in found] == [1, 2, 2]
    assert found[0].book.text == document.text
    shown = list(excerpts.duplicate(spelled, CANARY, found[2], "n = 2"))
    assert [text(one, SAME).strip() for one in shown] == [spelled([7, 8]), spelled([9, 10])]
    assert [one.label.split(";")[1] for one in shown] == [" piece 1 of 2", " piece 2 of 2"]
