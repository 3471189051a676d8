import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score, roc_curve

from lib.base.seeds import generator
from lib.statistics import roc

# Few distinct values, so that ties are common.
scores = hnp.arrays(np.float64, st.integers(1, 30), elements=st.integers(-3, 3).map(lambda value: value / 2))
pairs = st.tuples(scores, scores)


def brute_force_auc(members, non_members):
    wins = [1.0 if m > n else 0.5 if m == n else 0.0 for m in members for n in non_members]
    return sum(wins) / len(wins)


@pytest.mark.parametrize(
    ("members", "non_members", "expected"),
    [([3, 4], [1, 2], 1.0), ([1, 2], [3, 4], 0.0), ([5, 5, 5], [5, 5], 0.5), ([1, 3], [2], 0.5)],
)
def test_auc_known_answers(members, non_members, expected):
    assert roc.auc(members, non_members) == expected


@given(pairs)
def test_auc_equals_brute_force_and_sklearn(pair):
    members, non_members = pair
    labels = np.repeat([1, 0], [len(members), len(non_members)])
    value = roc.auc(members, non_members)
    assert value == pytest.approx(brute_force_auc(members, non_members), abs=1e-12)
    assert value == pytest.approx(roc_auc_score(labels, np.concatenate(pair)), abs=1e-12)


@given(pairs)
def test_auc_is_turned_by_swapping_and_kept_by_monotone_maps(pair):
    members, non_members = pair
    value = roc.auc(members, non_members)
    assert roc.auc(non_members, members) == pytest.approx(1 - value, abs=1e-12)
    assert roc.auc(np.exp(members), np.exp(non_members)) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("members", "message"), [([], "shape"), ([1.0, math.nan], "row 1 is NaN"), ([[1.0]], "one number for each")]
)
def test_auc_refuses_what_is_no_score(members, message):
    with pytest.raises(ValueError, match=message):
        roc.auc(members, [0.0])


def test_infinite_scores_are_ordered():
    assert roc.auc([np.inf, 0], [-np.inf, 0]) == 0.875


def test_bootstrap_equals_resampling_by_hand():
    random = np.random.default_rng(0)
    members, non_members = random.integers(0, 6, 12), random.integers(0, 5, 9)
    member_counts = roc.resample_counts(12, 50, generator(1, "a"))
    other_counts = roc.resample_counts(9, 50, generator(1, "b"))
    samples = roc.bootstrap_auc(members, non_members, member_counts, other_counts)
    by_hand = [
        brute_force_auc(np.repeat(members, a.astype(int)), np.repeat(non_members, b.astype(int)))
        for a, b in zip(member_counts, other_counts)
    ]
    np.testing.assert_allclose(samples, by_hand, rtol=0, atol=1e-12)


def test_bootstrap_is_stratified_and_repeatable():
    counts = roc.resample_counts(17, 200, generator(3, "members"))
    assert (counts.sum(axis=1) == 17).all()
    np.testing.assert_array_equal(counts, roc.resample_counts(17, 200, generator(3, "members")))
    # Each count is binomial(n, 1/n): mean 1, variance 1 - 1/n.
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(1 - 1 / 17, rel=0.1)


def test_bootstrap_refuses_counts_of_other_canaries():
    counts = roc.resample_counts(3, 5, generator(0, "x"))
    with pytest.raises(ValueError, match="do not fit 4 members"):
        roc.bootstrap_auc(np.zeros(4), np.zeros(3), counts, counts)


@given(pairs)
def test_roc_points_equal_sklearn(pair):
    labels = np.repeat([1, 0], [len(pair[0]), len(pair[1])])
    fpr, tpr, threshold = roc_curve(labels, np.concatenate(pair), drop_intermediate=False)
    curve = roc.roc_points(*pair)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold, threshold)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(roc.auc(*pair), abs=1e-12)


@given(pairs, st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5, 1.0]))
def test_tpr_at_fpr_equals_brute_force_over_thresholds(pair, target):
    members, non_members = pair
    candidates = [
        np.mean(members >= t) for t in [*members, *non_members, np.inf] if np.mean(non_members >= t) <= target
    ]
    assert roc.tpr_at_fpr(members, non_members, target) == pytest.approx(max(candidates), abs=1e-12)


def test_tpr_at_fpr_includes_the_target_itself_and_never_exceeds_it():
    non_members = np.arange(100.0)
    # 10 of 100 non-members score 90 or more: exactly FPR 0.1; a member at 89.5 would cost an 11th at 89.
    assert roc.tpr_at_fpr([90.0, 89.0, 88.0], non_members, 0.1) == pytest.approx(1 / 3)
    assert roc.tpr_at_fpr([99.0, 98.0], non_members, 0.001) == 0.0
    with pytest.raises(ValueError, match="target FPR"):
        roc.tpr_at_fpr([1.0], [0.0], 1.5)


def naive_delong(a, b):
    """Structural components written out: one pair of canaries at a time."""

    def components(members, non_members):
        v10 = [brute_force_auc([m], non_members) for m in members]
        v01 = [brute_force_auc(members, [n]) for n in non_members]
        return v10, v01

    (x10, x01), (y10, y01) = components(*a), components(*b)
    s10, s01 = np.cov(x10, y10), np.cov(x01, y01)
    s = s10 / len(x10) + s01 / len(x01)
    difference = np.mean(x10) - np.mean(y10)
    return difference, math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@given(st.integers(0, 10_000), st.integers(3, 25), st.integers(3, 25))
def test_delong_equals_the_classical_formula(seed, n, m):
    random = np.random.default_rng(seed)
    a = random.integers(0, 8, n), random.integers(0, 8, m)
    b = a[0] + random.integers(-2, 3, n), a[1] + random.integers(-2, 3, m)
    difference, error = naive_delong(a, b)
    test = roc.delong_test(*a, *b)
    assert test.difference == pytest.approx(difference, abs=1e-12)
    assert test.standard_error == pytest.approx(error, abs=1e-12)
    if error > 1e-9:
        assert test.p_value == pytest.approx(math.erfc(abs(difference / error) / math.sqrt(2)), rel=1e-6, abs=1e-12)


def test_delong_standard_error_is_near_that_of_the_paired_bootstrap():
    random = np.random.default_rng(1)
    members, non_members = random.normal(0.8, 1, 150), random.normal(0, 1, 150)
    other = members + random.normal(0, 0.8, 150), non_members + random.normal(0, 0.8, 150)
    counts = [roc.resample_counts(150, 4000, random) for _ in range(2)]
    differences = roc.bootstrap_auc(members, non_members, *counts) - roc.bootstrap_auc(*other, *counts)
    test = roc.delong_test(members, non_members, *other)
    assert test.standard_error == pytest.approx(differences.std(), rel=0.06)


def test_delong_p_values_are_uniform_when_both_attacks_are_equally_good():
    random = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        signal = random.normal(0.5, 1, 60), random.normal(0, 1, 60)
        noisy = [[side + random.normal(0, 1, 60) for side in signal] for _ in range(2)]
        p_values.append(roc.delong_test(*noisy[0], *noisy[1]).p_value)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


def test_delong_without_variance():
    same = roc.delong_test([1, 2], [0, 1], [1, 2], [0, 1])
    assert (same.difference, same.z, same.p_value) == (0, 0, 1)
    perfect = roc.delong_test([2, 2], [0, 0], [0, 0], [2, 2])
    assert (perfect.difference, perfect.z, perfect.p_value) == (1, math.inf, 0)
    with pytest.raises(ValueError, match="same members twice"):
        roc.delong_test([1, 2, 3], [0, 1], [1, 2], [0, 1])
