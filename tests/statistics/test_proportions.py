"""Wilson intervals and McNemar's exact test against scipy and against sums over the binomial distribution."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.statistics import proportions

counts = st.integers(0, 400)


@given(counts, counts.filter(bool), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_is_that_of_scipy(successes: int, trials: int, confidence: float) -> None:
    successes = min(successes, trials)
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert proportions.wilson(successes, trials, confidence) == pytest.approx(expected, abs=1e-12)


@given(counts, counts)
def test_mcnemar_is_the_exact_binomial_test(one: int, other: int) -> None:
    p = float(proportions.mcnemar(one, other))
    if one + other:
        assert p == pytest.approx(stats.binomtest(one, one + other, 0.5).pvalue, rel=1e-9)
    else:
        assert p == 1


def test_mcnemar_by_hand() -> None:
    n, least = 7, 1  # 1 and 6 discordant pairs
    assert proportions.mcnemar(1, 6) == pytest.approx(2 * sum(comb(n, k) for k in range(least + 1)) / 2**n)


def test_arrays_are_taken_one_by_one_and_ends_are_exact() -> None:
    low, high = proportions.wilson([0, 5, 10], 10)
    assert low[0] == 0
    assert high[2] == 1
    assert np.all(low <= [0, 0.5, 1])
    assert np.all(high >= [0, 0.5, 1])
    assert proportions.mcnemar([0, 3], [0, 3]).tolist() == [1, 1]


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), (0, 0)])
def test_what_is_no_proportion_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="do not make a proportion"):
        proportions.wilson(successes, trials)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        proportions.mcnemar(-1, 2)
