"""Token ids as texts: pieces of real tokenizers, differences against edit distances, what cannot be shown."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import Damaged, TesseraError
from lib.plans.plan import Plan
from lib.reporting.excerpts import CHANGED, LACKING, SAME, Excerpt
from lib.studies import texts
from lib.tokens.tokenization import decode, encode

LETTERS = st.lists(st.integers(0, 3), max_size=12)
PLAN = Plan("s", "p", "", "", {}, [])


def spelled(ids) -> str:
    """Each id is a letter, so that a text says which tokens it is of."""
    return "".join("abcd"[one] for one in ids)


def in_bytes(ids) -> str:
    """Each id is a byte, as in a byte-level tokenizer: a character may take several."""
    return bytes(ids).decode(errors="replace")


def edit_distance(one: list[int], other: list[int]) -> int:
    row = list(range(len(other) + 1))
    for i, mine in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, theirs in enumerate(other, 1):
            above, row[j] = row[j], min(above + (mine != theirs), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@settings(max_examples=50)
@given(LETTERS, LETTERS)
def test_differences_are_the_fewest_edits_and_hold_both_texts(original: list[int], changed: list[int]) -> None:
    found = texts.differences(spelled, original, changed)
    assert "".join(text for text, mark in found if mark != LACKING) == spelled(changed)
    assert "".join(text for text, mark in found if mark != CHANGED) == spelled(original)
    edits, run = 0, {LACKING: 0, CHANGED: 0}
    for text, mark in [*found, ("", SAME)]:
        if mark != SAME:
            run[mark] += len(text)
            continue
        edits, run = edits + max(run.values()), {LACKING: 0, CHANGED: 0}
    assert edits == edit_distance(original, changed)


@settings(max_examples=50)
@given(st.text(max_size=8), st.data())
def test_pieces_join_to_the_text_and_hold_whole_characters(text: str, data: st.DataObject) -> None:
    ids = list(text.encode(errors="replace"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=4)))
    pieces = list(texts.pieces(in_bytes, ids, [*cuts, len(ids)]))
    assert "".join(pieces) == in_bytes(ids)
    starts = [0, *cuts]
    for start, stop, piece in zip(starts, [*cuts, len(ids)], pieces):
        complete = in_bytes(ids[:start]) + in_bytes(ids[start:stop]) == in_bytes(ids[:stop])
        if (
            complete
            and not in_bytes(ids[:start]).endswith(texts.HALF)
            and not in_bytes(ids[:stop]).endswith(texts.HALF)
        ):
            assert piece == in_bytes(ids[start:stop])


@pytest.mark.parametrize("which", ["tokenizer", "sentencepiece_like"])
def test_pieces_of_real_tokenizers_lose_no_blank_and_no_character(which: str, request) -> None:
    made = request.getfixturevalue(which)
    ids = encode(made, "Old rivers,  ünïcode ♞ and\nletters")
    one_by_one = list(texts.pieces(partial(decode, made), ids, range(1, len(ids) + 1)))
    assert "".join(one_by_one) == decode(made, ids)
    assert texts.HALF not in "".join(one_by_one)


def test_three_values_or_fewer() -> None:
    assert [texts.three(range(n)) for n in (0, 1, 2, 3, 8)] == [[], [0], [0, 1], [0, 1, 2], [0, 3, 7]]


def test_what_cannot_be_shown_is_said_in_the_same_words_wherever_it_lies(tmp_path: Path) -> None:
    def lost():
        raise TesseraError(f"{tmp_path}/store/x: not finished; run its task first")

    def damaged():
        raise Damaged(tmp_path / "x", "other bytes")

    (said,) = texts.shown(tmp_path, PLAN, lost)
    assert (said.rows, said.caption) == ((), "The texts cannot be shown: store/x: not finished; run its task first.")
    with pytest.raises(Damaged):
        texts.shown(tmp_path, PLAN, damaged)
    (left_out,) = texts.shown(tmp_path, Plan(**{**vars(PLAN), "show_texts": False}), damaged)
    assert "show_texts" in left_out.caption
    assert texts.shown(tmp_path, PLAN, lambda: [Excerpt("t", "c")]) == [Excerpt("t", "c")]
