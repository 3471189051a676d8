"""Passages of an audit whose windows are made up: what is marked, and what stands beside it."""

import numpy as np

from lib.reporting.excerpts import AROUND, CHANGED, EXTRACTED, SAME
from lib.studies.audit import excerpts
from tests.studies.audit.test_audit_tables import audited

HIT = {0: {0, 1, 5}, 3: {4}}  # text -> starts of windows with p_z = 1/2; all others have 1e-6


def decode(ids) -> str:
    return "".join(f"w{token} " for token in ids)


def test_excerpts_mark_what_is_extracted_and_join_to_the_text() -> None:
    found = [audited("mine", 8, HIT), audited("controls", 9, {})]
    one = found[0]
    segments = list(excerpts.segments(one, 0, 0, one.spans(0)))
    assert "".join(text for text, _ in segments) == one.texts.text[0]
    assert [text for text, mark in segments if mark == EXTRACTED] == ["w2 w3 w4 ", "w7 w8 "]
    (shown,) = excerpts.make(found, {})  # nothing of the controls is extracted
    assert [row[0].label.partition(":")[0] for row in shown.rows] == ["t0", "t3", "t1", "t2", "t4"]
    assert all(len(row) == 1 for row in shown.rows)


def test_beside_a_span_stand_the_likeliest_tokens_and_what_differs_is_marked() -> None:
    one = audited("mine", 8, HIT)
    one.of_tokens["likeliest"] = [ids.copy() for ids in one.texts.ids]
    one.of_tokens["likeliest"][0][3] = 77
    (shown,) = excerpts.make([one], {"m": decode})
    assert shown.rows[0][1].label.endswith("2 of 3 tokens as in the text")
    assert shown.rows[0][1].segments == [("w2 ", SAME), ("w77 ", CHANGED), ("w4 ", SAME)]
    assert [len(row) for row in shown.rows] == [2] * 5


def test_where_nothing_is_extracted_the_likeliest_windows_are_shown() -> None:
    one = audited("mine", 8, {})
    one.windows["log_p"][one.of_text(5)] = np.log([1e-6, 1e-6, 1e-6, 1e-5, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6])
    (shown,) = excerpts.make([one], {})
    (first,) = shown.rows[0]
    assert first.label == "t5: p_z 1e-05, from token 0 on"
    assert first.segments == [("w500 w501 w502 w503 w504 ", AROUND), ("w505 w506 ", SAME)]
    assert "No text has windows with p_z of at least 0.001" in shown.caption
