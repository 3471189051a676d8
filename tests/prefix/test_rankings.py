"""The published rankings: hand-made values, their order, and what cannot be scored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.prefix import rankings

POSITIVE = st.lists(st.floats(0.01, 20), min_size=2, max_size=2)


def test_hand_made_values() -> None:
    found = rankings.scores({"large": [2.0, 1.0], "small": [3.0, 1.0], "lower": [5.0, 2.0], "zlib_bytes": [80, 10]})
    assert {name: values.tolist() for name, values in found.items()} == {
        "perplexity": [-2, -1],
        "small": [1.5, 1],
        "lowercase": [2.5, 2],
        "zlib": [40, 10],
    }
    assert set(rankings.scores({"large": [1.0], "zlib_bytes": [3]})) == {"perplexity", "zlib"}


@given(POSITIVE, st.floats(1.01, 3))
def test_a_text_that_the_large_model_likes_more_ranks_higher(values: list[float], factor: float) -> None:
    evidence = {name: np.repeat(values[0], 2) for name in ("small", "lower")} | {"zlib_bytes": [50, 50]}
    for ranking in rankings.scores({"large": [values[1] * factor, values[1]], **evidence}).values():
        assert rankings.top(ranking, 2).tolist() == [1, 0]


@given(st.lists(st.sampled_from([1.0, 2.0, np.inf, -np.inf, np.nan]), max_size=8), st.integers(0, 9))
def test_top_is_a_stable_sort(values: list[float], count: int) -> None:
    rank = [-np.inf if np.isnan(value) else value for value in values]
    unscored = [bool(np.isnan(value)) for value in values]
    expected = sorted(range(len(values)), key=lambda row: (unscored[row], -rank[row], row))[:count]
    assert rankings.top(values, count).tolist() == expected


def test_certainty_ranks_first() -> None:
    assert rankings.zlib([1.0, 0.0], [10, 10]).tolist() == [10, np.inf]
    assert rankings.zlib([-0.0], [10]).tolist() == [np.inf]


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1: a log-perplexity must be at least 0"):
        rankings.perplexity([1.0, -0.5])
    with pytest.raises(ValueError, match="count is -1"):
        rankings.top([1.0], -1)
