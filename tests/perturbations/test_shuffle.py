"""Orders of n-grams: exact inversions, uniformity against brute force, Kendall's tau against scipy."""

from collections import Counter
from itertools import permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import UsageError
from lib.base.seeds import generator
from lib.perturbations import shuffle


def brute_inversions(order) -> int:
    return sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])


def tau_of(made: list[int]) -> float:
    """The normalized Kendall distance to 0, 1, 2, ... as scipy's correlation gives it."""
    return (1 - stats.kendalltau(range(len(made)), np.argsort(made)).statistic) / 2


@pytest.mark.parametrize(("size", "wanted"), [(4, 1), (4, 3), (5, 4), (5, 8), (6, 2), (5, 10), (3, 0)])
def test_every_permutation_with_the_wanted_inversions_is_as_likely(size: int, wanted: int) -> None:
    possible = [order for order in permutations(range(size)) if brute_inversions(order) == wanted]
    stream = generator(0, "uniformity", size, wanted)
    draws = Counter(tuple(shuffle.permutation(size, wanted, stream)) for _ in range(40 * len(possible)))
    assert set(draws) == set(possible)
    if len(possible) > 1:
        assert stats.chisquare([draws[order] for order in possible]).pvalue > 0.001


@given(st.integers(1, 30), st.floats(0, 1), st.integers(0, 99))
def test_inversions_are_exact(size: int, share: float, seed: int) -> None:
    wanted = round(share * comb(size, 2))
    order = shuffle.permutation(size, wanted, np.random.default_rng(seed))
    assert sorted(order) == list(range(size))
    assert brute_inversions(order) == shuffle.inverted_pairs(order) == wanted


def test_mahonian_numbers_are_those_of_brute_force() -> None:
    for size in range(1, 7):
        counted = Counter(brute_inversions(order) for order in permutations(range(size)))
        assert shuffle._mahonian(size, 99)[size] == [counted[k] for k in range(comb(size, 2) + 1)]


@pytest.mark.parametrize("method", ["uniform", "paper"])
@pytest.mark.parametrize(("ngram", "tau"), [(2, 0.1), (2, 0.9), (5, 0.1), (5, 0.5), (10, 0.2), (10, 0.8), (7, 0.3)])
def test_tau_is_the_wanted_one(method: str, ngram: int, tau: float) -> None:
    made = shuffle.variation(range(100), ngram, tau, method, generator(1, method, ngram))
    assert sorted(made) == list(range(100))
    if method == "paper":
        assert tau <= tau_of(made) + 1e-9 < tau + 0.01 + 1e-9
    else:
        assert abs(tau_of(made) - tau) <= shuffle.step_of(100, ngram) / 2 + 1e-9


@given(st.integers(1, 10), st.floats(0.2, 1), st.integers(0, 99))
def test_n_grams_stay_whole_and_what_is_left_over_stays_at_the_end(ngram: int, share: float, seed: int) -> None:
    tau = share * comb(43 // ngram, 2) * shuffle.step_of(43, ngram)
    made = shuffle.variation(range(43), ngram, tau, "uniform", np.random.default_rng(seed))
    whole = 43 // ngram * ngram
    pieces = [made[start : start + ngram] for start in range(0, whole, ngram)]
    assert sorted(pieces) == [list(range(start, start + ngram)) for start in range(0, whole, ngram)]
    assert made[whole:] == list(range(whole, 43))


def test_the_published_walk_leaves_most_bigrams_in_place_and_the_uniform_order_does_not() -> None:
    def kept(method: str) -> float:
        made = [shuffle.variation(range(100), 2, 0.1, method, generator(0, method, n)) for n in range(60)]
        return float(np.mean(np.array(made) == np.arange(100)))

    assert 0.78 < kept("paper") < 0.88
    assert kept("uniform") < 0.2


@pytest.mark.parametrize(("ngram", "top"), [(2, "0.9899"), (5, "0.9596"), (10, "0.9091")])
def test_a_tau_beyond_the_top_names_the_top(ngram: int, top: str) -> None:
    for method in ("uniform", "paper"):
        with pytest.raises(UsageError, match=rf"tau is 1.0; .*{top} \(the top\)"):
            shuffle.variation(range(100), ngram, 1.0, method, np.random.default_rng(0))
    reverse = shuffle.variation(range(100), ngram, float(top), "uniform", np.random.default_rng(0))
    assert tau_of(reverse) == pytest.approx(float(top), abs=1e-4)


def test_a_tau_nearest_to_none_and_n_grams_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match=r"tau is 0.001; 10 n-grams .* reach 0.0202 to"):
        shuffle.variation(range(100), 10, 0.001, "uniform", np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"tau is 0.123; no order of 50 .* in two digits"):
        shuffle.variation(range(100), 2, 0.123, "paper", np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"tau is 0\.1; no order of 8 n-grams of 5 tokens"):
        shuffle.walk(40, 5, 0.1, np.random.default_rng(0))
    for ngram in (0, 51):
        with pytest.raises(UsageError, match=f"ngram is {ngram}; canaries of 100 tokens allow 1 to 50"):
            shuffle.variation(range(100), ngram, 0.5, "uniform", np.random.default_rng(0))
