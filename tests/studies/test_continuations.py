"""Which continuations are shown: against the rule in plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.reporting.excerpts import SHARED
from lib.studies import continuations
from lib.studies.continuations import DRAWN, LEAST, MOST

PROMPTS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.5]), st.integers(0, 3)), min_size=1, max_size=9)


@settings(max_examples=50)
@given(PROMPTS)
def test_the_most_the_least_and_a_draw(prompts: list[tuple[int, float, int]]) -> None:
    matched, similarity, variety = map(np.array, zip(*prompts))
    matched = matched.astype(np.uint32)  # as in generations.h5
    found = continuations.chosen(matched, similarity, variety)
    most = max(range(len(prompts)), key=lambda row: (int(matched[row]), variety[row], -row))
    least = min(range(len(prompts)), key=lambda row: (matched[row], similarity[row], row))
    assert found[MOST] == most
    assert found.get(LEAST, most) == least
    assert (DRAWN in found) == (len(prompts) > len({most, least}))
    assert found.get(DRAWN) not in (most, least)
    assert found == continuations.chosen(matched, similarity, variety)


def test_blank_lines_are_not_the_most_remembered() -> None:
    suffixes = ["\n\n\n", "an old river, an old town", "-----"]
    variety = np.array([continuations.variety(text) for text in suffixes])
    assert variety.tolist() == [0, 4, 0]
    assert continuations.chosen(np.full(3, 4), np.ones(3), variety)[MOST] == 1


def test_what_was_written_stands_beside_the_true_text_and_not_much_longer() -> None:
    prompt, wrote, true = "p" * 1000, "and so it went" + " on" * 500, "and so it ended"
    (opening,), (one, other) = continuations.passages("Drawn", "3 of 4 tokens", prompt, wrote, true)
    assert len(opening.segments[0][0]) == continuations.PROMPT + 1
    assert len("".join(text for text, _ in one.segments)) == len(true) + continuations.BEYOND + 1
    assert [text for side in (one, other) for text, mark in side.segments if mark == SHARED] == ["and so it "] * 2
