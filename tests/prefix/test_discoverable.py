"""(n, p)-discoverable extraction: known answers and the definition, by trying every n."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.prefix import discoverable


def test_known_answers() -> None:
    assert discoverable.samples_needed(math.log(0.5), 0.9) == 4
    np.testing.assert_array_equal(discoverable.samples_needed([0.0, -np.inf, -800.0], 0.5), [1, np.inf, np.inf])
    assert discoverable.samples_needed(math.log(0.1), 0.19) == 2  # exactly, though binary says a hair more
    assert discoverable.samples_needed(math.log(0.5), 0.75) == 2
    np.testing.assert_allclose(discoverable.samples_needed(-600.0, 0.5), math.log(2) * math.exp(600), rtol=1e-9)


@given(st.floats(0.01, 1.0), st.floats(0.01, 0.99))
def test_n_is_the_least_that_is_enough(p_z: float, p: float) -> None:
    n = int(discoverable.samples_needed(math.log(p_z), p))
    assert 1 - (1 - p_z) ** n >= p - 1e-8
    assert n == 1 or 1 - (1 - p_z) ** (n - 1) < p + 1e-8


@given(st.lists(st.floats(-50, 0), min_size=1), st.sampled_from(discoverable.PROBABILITIES))
def test_likelier_suffixes_and_lower_p_need_no_more(values: list[float], p: float) -> None:
    needed = discoverable.samples_needed(np.sort(values), p)
    assert (np.diff(needed) <= 0).all()
    assert (discoverable.samples_needed(np.sort(values), p / 2) <= needed).all()


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 50.0, np.inf]), min_size=1), st.lists(st.integers(1, 60)))
def test_the_curve_counts(needed: list[float], samples: list[int]) -> None:
    expected = [sum(value <= n for value in needed) / len(needed) for n in samples]
    np.testing.assert_allclose(discoverable.curve(needed, samples), expected)


@pytest.mark.parametrize(("log_p", "p"), [([-1.0], 0.0), ([-1.0], 1.0), ([0.1], 0.5), ([np.nan], 0.5)])
def test_what_is_no_probability_is_refused(log_p: list[float], p: float) -> None:
    with pytest.raises(ValueError, match=r"above 0 and below 1|at most 0"):
        discoverable.samples_needed(log_p, p)


def test_no_prompts_have_no_curve() -> None:
    with pytest.raises(ValueError, match="no prompts"):
        discoverable.curve([], [1])
