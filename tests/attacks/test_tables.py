"""Scores from tables: those of the same evidence as rows, and refusals that name what is wrong."""

import numpy as np
import pandas as pd
import pytest

from lib.attacks import scores, tables
from lib.base.errors import TesseraError

LENGTHS = [4, 1, 7]
NAMES = ["b", "a", "c"]
TEXTS = pd.DataFrame({"texts": ["one two", "A", "c c c"], "reference_means": [-2.0, -3.0, -1.0]}, index=NAMES)


def token_table() -> pd.DataFrame:
    draws = np.random.default_rng(0)
    columns = {name: -draws.exponential(2, sum(LENGTHS)) for name in tables.OF_TOKENS}
    columns["sigma"] = -columns["sigma"]
    columns["top_log_probs"] = np.maximum(columns["top_log_probs"], columns["log_probs"])
    return pd.DataFrame({"text": np.repeat(NAMES, LENGTHS), **columns})


def as_rows(tokens: pd.DataFrame) -> dict:
    return {name: [tokens.loc[tokens.text == text, name].to_numpy() for text in NAMES] for name in tables.OF_TOKENS}


def test_scores_are_those_of_the_rows() -> None:
    tokens = token_table()
    expected = scores.compute({**as_rows(tokens), **{name: TEXTS[name].to_list() for name in TEXTS}})
    found = tables.compute(tokens, TEXTS)
    assert {"loss", "ratio", "zlib", "min_k_plus_plus", "recall", "wbc", "ez"} <= set(found)
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected, index=found.index))
    assert found.index.to_list() == NAMES
    other_order = tables.compute(tokens, TEXTS.loc[["c", "a", "b"]])
    pd.testing.assert_frame_equal(other_order.loc[NAMES], found)


def test_without_a_table_of_texts_it_gives_what_tokens_allow() -> None:
    found = tables.compute(token_table()[["text", "log_probs"]])
    assert {"loss", "min_k"} <= set(found)
    assert all(scores.needs(scores.estimators()[name]) == ["log_probs"] for name in found)
    assert found.loc["a", "loss"] == token_table().loc[4, "log_probs"]


@pytest.mark.parametrize(
    ("tokens", "texts", "message"),
    [
        (token_table().drop(columns="log_probs"), None, "`tokens` has no column 'log_probs'"),
        (token_table().rename(columns={"sigma": "sigmas"}), None, "'sigmas' is no evidence .* did you mean 'sigma'"),
        (token_table().replace({"text": {"a": np.nan}}), None, "'text' has no value in row 4"),
        (
            token_table().assign(log_probs=lambda table: -table.log_probs),
            None,
            "'log_probs' is .* in row 0; the logarithm",
        ),
        (token_table(), TEXTS.assign(reference_means=[-1, 2, -1]), "'reference_means' is 2 in row a"),
        (token_table(), TEXTS.loc[["a", "b"]], "text 'c' stands in one of the tables"),
        (token_table(), TEXTS.loc[["a", "b", "c", "a"]], "two rows for text 'a'"),
        (token_table(), TEXTS.rename(columns={"texts": "text"}), "did you mean 'texts'"),
    ],
)
def test_what_is_wrong_is_named(tokens, texts, message) -> None:
    with pytest.raises(TesseraError, match=message):
        tables.compute(tokens, texts)
