"""What lib/PYTHON.md invites to call, called with the mistakes that are easily made: each is named, with its remedy."""

import numpy as np
import pandas as pd
import pytest

from lib.attacks import tables, texts
from lib.base.errors import TesseraError
from lib.corpus.near import in_memory
from lib.prefix import matching, prompts
from lib.statistics import intervals, rho
from lib.tokens import tokenization

TOKENS = pd.DataFrame({"text": [0, 0, 1], "log_probs": [-1.0, -2.0, -3.0]})
WORDS = [["to", "be"], ["or", "not"]]


def scored(**changed):
    return lambda: tables.compute(TOKENS.assign(**changed))


def with_texts(given):
    return lambda: tables.compute(TOKENS, given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (scored(log_probs=["a", -1, -1]), r"'log_probs' is 'a' in row 0; it must be a finite number"),
        (scored(log_probs=["-1", "-2", "-3"]), r"'log_probs' is '-1' in row 0; it must be a finite number"),
        (scored(log_probs=[-1, -np.inf, -1]), r"'log_probs' is .*-inf.* in row 1; it must be a finite number"),
        (scored(log_probs=[-1, np.nan, -1]), r"'log_probs' has no value in row 1"),
        (scored(mu=-1.0, sigma=[1, -1, 1]), r"'sigma' is .*-1.* in row 1; it must be a finite number, at least 0"),
        (lambda: tables.compute({"text": [0]}), r"`tokens` must be a DataFrame of pandas, found dict"),
        (with_texts(pd.DataFrame({"texts": [3, 4]})), r"'texts' is 3 in row 0; it must be a string"),
        (with_texts(pd.DataFrame({"reference_means": ["-1", "-2"]})), r"'reference_means' is '-1' in row 0"),
        (with_texts(["a", "b"]), r"`texts` must be a DataFrame of pandas, found list"),
        (lambda: texts._check("one"), r"texts is one string; put it in a list"),
        (lambda: texts._check(pd.DataFrame({"text": ["a"]})), r"texts is a DataFrame; give the list of its texts"),
        (lambda: texts._check({"a": "text"}), r"texts is a dict; give the list of its texts"),
        (lambda: texts._check([]), r"texts is empty"),
        (lambda: texts._check(["a", np.nan]), r"row 1: a text must be a string, found nan"),
        (lambda: tokenization.encode_all(None, "one"), r"texts is one string; put it in a list"),
        (lambda: rho.isotonic([1, 3], np.full((5, 2), 0.7), np.full(4, 0.7)), r"shape \(4,\) do not fit .* \(5, 2\)"),
        (lambda: intervals.interval([]), r"there are no samples"),
        (lambda: in_memory.find(WORDS, WORDS[0], 1), r"put one target in a list: \[target\]"),
        (lambda: in_memory.find(["to be", "or not"], WORDS, 1), r"cut all alike, such as \[text.split\(\)"),
        (lambda: in_memory.find([*WORDS, np.nan], WORDS, 1), r"text 2 is nan; it must be a list of tokens"),
        (lambda: in_memory.find(WORDS, WORDS, 0.5), r"max_distance is 0.5; it must be a whole number"),
        (lambda: prompts.beginnings([[1, 2, 3]], 0, 1), r"n_prompt is 0; it must be at least 1"),
        (lambda: prompts.beginnings(["one text"], 2, 1), r"row 0 is a string; give its ids"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(call, message) -> None:
    with pytest.raises((TesseraError, ValueError), match=message):
        call()


def test_whole_numbers_series_and_lists_are_as_good() -> None:
    whole = tables.compute(TOKENS.astype({"log_probs": int}))
    pd.testing.assert_frame_equal(whole, tables.compute(TOKENS))
    rows = pd.Series(WORDS, index=[7, 9])
    assert list(map(list, in_memory.find(rows, rows[:1], 0))) == list(map(list, in_memory.find(WORDS, WORDS[:1], 0)))
    ids = [[1, 2]]
    assert matching.columns(ids, [[1]], ids)["exact"].tolist() == [True]
