"""Ranks among others: against enumeration, scipy, and the law that p-values have if nothing differs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.statistics import permutation, ranks
from lib.statistics.proportions import most_of_none


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_sum_of_ranks_has_the_law_of_all_combinations(found: list[int]) -> None:
    every = [sum(one) for one in itertools.product(range(1, 5), repeat=len(found))]
    wanted = np.mean(np.array(every) <= sum(found))
    assert ranks.p_of_ranks(found, 4) == pytest.approx(wanted)


def test_a_rank_counts_the_others_that_are_not_below() -> None:
    assert ranks.among([[1, 2], [0, 3], [-1, -2]]).tolist() == [1, 2, 3]
    assert np.isnan(ranks.p_of_ranks([], 3))
    with pytest.raises(ValueError, match="from 1 to 3"):
        ranks.p_of_ranks([4], 3)


def test_one_among_others() -> None:
    assert ranks.p_of_one(5, [1, 2, 5]) == 2 / 4  # a tie counts against it
    assert ranks.p_of_one(9, range(19)) == pytest.approx(11 / 20)
    assert np.isnan(ranks.p_of_one(1, []))


def test_p_values_are_uniform_where_nothing_differs() -> None:
    """Kolmogorov-Smirnov, of the p-values that an audit gives to texts that no model has read. A discrete p is spread
    evenly over its step."""
    draws = np.random.default_rng(5)

    def spread(p: float, step: float) -> float:
        return p - draws.random() * step

    documents, single = [], []
    for _ in range(300):
        values = draws.normal(size=(2, 5))
        documents.append(spread(permutation.p_greater(*values, draws), 1 / 252))  # 10 over 5 divisions
        single.append(spread(ranks.p_of_one(values[0, 0], values[1]), 1 / 6))
    assert stats.kstest(documents, "uniform").pvalue > 0.01
    assert stats.kstest(single, "uniform").pvalue > 0.01
    alike = [_ranks_of_alike(draws) for _ in range(300)]
    assert stats.kstest([spread(p, step) for p, step in alike], "uniform").pvalue > 0.01


def _ranks_of_alike(draws: np.random.Generator) -> tuple[float, float]:
    """p of four windows and nine duplicates each, all drawn alike, and the probability of that sum of ranks."""
    values = draws.normal(size=(4, 10))
    found = ranks.among(values[:, :1] - values[:, 1:])
    p = ranks.p_of_ranks(found, 10)
    lower = found.copy()
    lower[np.argmax(found)] -= 1  # the next smaller sum
    below = ranks.p_of_ranks(lower, 10) if lower.min() >= 1 else 0.0
    return p, p - below


@pytest.mark.parametrize("n", [1, 3, 8, 60])
def test_the_bound_of_none_is_scipys_exact_one(n: int) -> None:
    found = stats.binomtest(0, n, alternative="less").proportion_ci(0.95, method="exact")
    assert most_of_none(n) == pytest.approx(found.high)
    with pytest.raises(ValueError, match="at least 1"):
        most_of_none(0)
