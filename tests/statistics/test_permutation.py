"""The permutation test against every division of a few values, and under no difference."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.statistics import permutation

VALUES = st.lists(st.integers(-3, 3), min_size=2, max_size=4)


@given(VALUES, VALUES)
def test_equals_the_share_of_all_divisions(values: list[int], others: list[int]) -> None:
    every, n = [*values, *others], len(values)
    observed = np.mean(values) - np.mean(others)
    differences = []
    for chosen in combinations(range(len(every)), n):
        mine = [every[i] for i in chosen]
        rest = [every[i] for i in range(len(every)) if i not in chosen]
        differences.append(np.mean(mine) - np.mean(rest))
    expected = np.mean([one >= observed - 1e-9 for one in differences])
    assert permutation.p_greater(values, others, np.random.default_rng(0)) == pytest.approx(expected)


def test_is_uniform_where_nothing_differs() -> None:
    draws = np.random.default_rng(1)
    found = [permutation.p_greater(draws.random(6), draws.random(5), draws) for _ in range(60)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_large_difference_and_its_interval() -> None:
    draws = np.random.default_rng(2)
    values, others = draws.normal(1, 0.1, 30), draws.normal(0, 0.1, 30)
    assert permutation.p_greater(values, others, draws) == 1 / (permutation.RESAMPLES + 1)
    samples = permutation.bootstrap_difference(values, others, 500, draws)
    error = np.sqrt(values.var() / 30 + others.var() / 30)
    assert samples.mean() == pytest.approx(values.mean() - others.mean(), abs=error / 2)
    assert samples.std() == pytest.approx(error, rel=0.2)


def test_too_few_units_and_missing_values() -> None:
    assert np.isnan(permutation.p_greater([1.0], [0.0, 0.5], np.random.default_rng(0)))
    with pytest.raises(ValueError, match="NaN"):
        permutation.p_greater([1.0, np.nan], [0.0, 0.5], np.random.default_rng(0))
