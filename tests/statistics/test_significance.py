import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.statistics import significance


def naive_holm(p_values):
    """Reject from the smallest on while p <= level / (how many are left); the corrected value is the least level."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, highest = [0.0] * len(p_values), 0.0
    for left, i in zip(range(len(p_values), 0, -1), order):
        highest = max(highest, left * p_values[i])
        corrected[i] = min(1.0, highest)
    return corrected


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_the_step_down_by_hand(p_values):
    corrected = significance.holm(p_values)
    np.testing.assert_allclose(corrected, naive_holm(p_values), rtol=1e-12)
    assert (corrected >= np.asarray(p_values)).all()


def test_holm_known_answer_and_refusal():
    np.testing.assert_allclose(significance.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    with pytest.raises(ValueError, match="between 0 and 1"):
        significance.holm([0.5, float("nan")])


def test_bootstrap_p_value_of_a_normal_difference_is_that_of_the_z_test():
    samples = np.random.default_rng(4).normal(1.5, 1, 20_000)
    assert significance.bootstrap_p_value(samples) == pytest.approx(math.erfc(1.5 / math.sqrt(2)), rel=0.1)
    assert significance.bootstrap_p_value(np.zeros(99)) == 1
    assert significance.bootstrap_p_value(np.ones(99)) == pytest.approx(0.02)


def test_a_clear_difference_outlives_the_correction_for_many_comparisons():
    """1,000 draws alone say no less than 2 / 1,001, which 26 comparisons take above 5 %."""
    samples = np.random.default_rng(4).normal(5, 1, 1000)
    clear = significance.bootstrap_p_value(samples)
    assert math.erfc(5 / math.sqrt(2)) / 3 < clear < 3 * math.erfc(5 / math.sqrt(2))
    assert significance.holm([clear, *[0.5] * 160])[0] < 0.05
    assert significance.bootstrap_p_value(np.append(samples, [-1] * 20)) == pytest.approx(42 / 1021)
    assert significance.bootstrap_p_value([0.3]) == 1
