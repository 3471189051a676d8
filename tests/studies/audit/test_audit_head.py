"""The three paragraphs at the head of an audit's report, for windows that are made up."""

import numpy as np

from lib.studies.audit import head, tables
from tests.studies.audit.test_audit_tables import CUT, audited

HIT = {0: {0, 1, 5}, 3: {4}}  # text -> starts of windows with p_z = 1/2; all others have 1e-6


def test_the_head_says_what_was_asked_what_was_found_and_what_it_does_not_prove() -> None:
    both = [audited("mine", 8, HIT, 5.0), audited("controls", 9, {})]
    asked, found, unproved = head.sentences(tables.make(both), CUT)
    assert asked.startswith("What was asked: does m know 8 texts by heart (mine)? A model was given 2 tokens")
    assert "m writes, word for word and at least once in 1,000 attempts, 4 of 63 passages of mine (6.35 % [" in found
    assert "Most it writes of t0: 50 % of it, up to 3 words in a row." in found
    assert "A token of mine has a log-probability that is 5.0" in found
    assert "the same words may stand elsewhere" in unproved
    assert "nobody has checked" in unproved


def test_where_nothing_is_extracted_and_nothing_compared_the_head_says_so() -> None:
    both = [audited("mine", 8, {}), audited("more", 3, {})]
    both[0].windows["log_p"][0] = np.log(1.0000001e-6)
    asked, found, unproved = head.sentences(tables.make(both), CUT)
    assert "11 texts by heart (mine and more)" in asked
    assert "0 of 63 passages of mine" in found
    assert "and 0 of 18 passages of more" in found
    assert "The likeliest passage, of t0, would be written once in 1,000,000 attempts." in found
    assert "that the model has not read the texts" in unproved
    assert "There are no control texts" in unproved
