"""Continuations of canaries as texts."""

import numpy as np

from lib.studies.continuations import LEAST, MOST
from lib.studies.extraction import excerpts


def test_a_member_is_shown_with_its_prompt_what_was_written_and_the_suffix() -> None:
    canaries = np.arange(24).reshape(3, 8)
    columns = {
        "continuation": np.array([[4, 5, 6], [12, 99, -1], [90, -1, -1]]),
        "matched_tokens": np.array([3, 1, 0], np.uint32), "edit_similarity": np.array([1.0, 0.4, 0.0]),
    }  # fmt: skip
    rows = list(excerpts.passages(lambda ids: " ".join(map(str, ids)), canaries, 4, columns))
    texts = [["".join(text for text, _ in one.segments) for one in row] for row in rows]
    assert texts[:4] == [["0 1 2 3"], ["4 5 6", "4 5 6"], ["16 17 18 19"], ["90", "20 21 22"]]
    assert texts[5] == ["12 99", "12 13 14"]
    assert [row[0].label.split(" (")[0] for row in rows[::2]] == [MOST, LEAST, "Drawn"]
    assert rows[3][0].label == "The model wrote (0 of 3 tokens repeated)"
