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


def test_items_of_their_own_have_the_plain_interval_and_mcnemars_test() -> None:
    draws = np.random.default_rng(0)
    mine, theirs = draws.random((2, 60)) < [[0.4], [0.6]]
    found = proportions.clustered_wilson(mine, np.arange(60))
    assert found == tuple(map(float, proportions.wilson(mine.sum(), 60)))
    assert found == proportions.clustered_wilson(mine, np.zeros(60, int))  # one document: of its own prompts
    expected = proportions.mcnemar((mine & ~theirs).sum(), (theirs & ~mine).sum())
    difference = mine.astype(int) - theirs
    assert proportions.sign_flip(difference, np.arange(60)[::-1]) == expected
    assert proportions.sign_flip(difference, np.zeros(60, int)) == expected


def test_clusters_that_agree_count_as_one_item_each() -> None:
    """Each of 200 items five times over, so that only 200 say anything."""
    once = np.arange(200) % 4 == 0
    items, clusters = np.repeat(once, 5), np.repeat(np.arange(200), 5)
    few = (stats.t.ppf(0.975, 199) / stats.norm.ppf(0.975)) ** 2
    effective = 200 / (200 / 199) / few
    expected = [float(end) for end in proportions.wilson(0.25 * effective, effective)]
    assert proportions.clustered_wilson(items, clusters) == pytest.approx(expected, abs=1e-12)
    assert proportions.clustered_wilson(items * False, clusters) == pytest.approx(
        [float(end) for end in proportions.wilson(0, 200 / few)], abs=1e-12
    )


def correlated(draws: np.random.Generator, clusters: int, size: int, share: float, within: float) -> np.ndarray:
    """Successes (clusters, size) of this share, whose correlation within a cluster is `within` (beta-binomial)."""
    strength = 1 / within - 1
    chance = draws.beta(share * strength, (1 - share) * strength, (clusters, 1))
    return draws.random((clusters, size)) < chance


@pytest.mark.parametrize(("share", "clusters"), [(0.1, 80), (0.5, 20), (0.03, 300)])
def test_the_interval_of_clusters_covers_the_share_and_the_plain_one_does_not(share: float, clusters: int) -> None:
    draws, runs, size = np.random.default_rng(1), 800, 6
    names = np.repeat(np.arange(clusters), size)
    covered = np.zeros(2)
    for _ in range(runs):
        items = correlated(draws, clusters, size, share, within=0.6).ravel()
        plain = proportions.wilson(items.sum(), items.size)
        for which, (low, high) in enumerate((proportions.clustered_wilson(items, names), plain)):
            covered[which] += low <= share <= high
    assert 0.92 <= covered[0] / runs <= 0.99
    assert covered[1] / runs < 0.8


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 6)), min_size=1, max_size=30))
def test_the_sign_flip_test_is_scipys_exact_randomization_test(items: list) -> None:
    differences, clusters = (np.array(column) for column in zip(*items))
    sums = np.array([differences[clusters == one].sum() for one in np.unique(clusters)])
    if len(sums) < 2:
        return
    expected = stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert proportions.sign_flip(differences, clusters) == pytest.approx(expected.pvalue, rel=1e-9)


def test_models_that_remember_the_same_share_of_documents_are_seldom_called_different() -> None:
    """Two models of one share that remember other documents: 5 % of tests at most, where McNemar's gives many more."""
    draws, runs = np.random.default_rng(2), 600
    names = np.repeat(np.arange(60), 5)
    found = np.zeros((2, runs))
    for run in range(runs):
        mine, theirs = (correlated(draws, 60, 5, 0.3, within=0.7).ravel() for _ in range(2))
        found[0, run] = proportions.sign_flip(mine.astype(int) - theirs, names)
        found[1, run] = proportions.mcnemar((mine & ~theirs).sum(), (theirs & ~mine).sum())
    clustered, plain = (found < 0.05).mean(axis=1)
    assert clustered < 0.075
    assert plain > 0.15


def test_a_large_sum_of_many_clusters_is_that_of_the_normal_law() -> None:
    draws = np.random.default_rng(3)
    clusters = draws.integers(0, 4000, 12_000)
    differences = draws.choice([-1, 0, 1], 12_000, p=[0.1, 0.78, 0.12])
    sums = np.bincount(clusters, weights=differences)
    z = (abs(differences.sum()) - 0.5) / np.sqrt((sums**2).sum())
    assert proportions.sign_flip(differences, clusters) == pytest.approx(2 * stats.norm.sf(z), rel=0.1)


def test_no_items_are_refused() -> None:
    for function in (proportions.clustered_wilson, proportions.sign_flip):
        with pytest.raises(ValueError, match="no items"):
            function([], [])
