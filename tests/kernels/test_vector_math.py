import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from lib.kernels import vector_math

REFERENCES = {
    "exp2_of_negative": np.exp2,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "silu": lambda x: x / (1 + np.exp(-x)),
}
SMALLEST = float(np.finfo(np.float32).tiny)


def compiled(name):
    function = getattr(vector_math, name)

    @njit(error_model="numpy", fastmath={"reassoc", "contract"})
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    return loop


LOOPS = {name: compiled(name) for name in REFERENCES}


def found(name, values, dtype):
    x = np.array(values, dtype)
    y = np.empty_like(x)
    LOOPS[name](x, y)
    with np.errstate(over="ignore"):
        return x.astype(np.float64), y, REFERENCES[name](x.astype(np.float64))


negative = st.lists(st.floats(-(2.0**10), 0, width=32) | st.floats(max_value=0, width=32), min_size=1, max_size=20)
any_sign = st.lists(st.floats(-85, 2.0**10, width=32), min_size=1, max_size=20)


@given(negative)
@example([0.0, -0.0, -np.inf, -126.0, -126.00001, -0.5, -1.5, -125.5])
def test_a_power_of_two_is_within_an_ulp_and_below_the_normal_numbers_0(values) -> None:
    x, y, wanted = found("exp2_of_negative", values, np.float32)
    normal = x >= -126
    np.testing.assert_allclose(y[normal], wanted[normal], rtol=1e-7)
    assert np.all(y[~normal] == 0)
    assert np.all(y[x == 0] == 1)


@pytest.mark.parametrize("name", ["softplus", "silu"])
@given(any_sign)
@example([0.0, -0.0, 20.0, -20.0, 1e-30, -1e-30])
def test_softplus_and_silu_are_as_exact_as_rounding_their_argument_lets_them_be(name, values) -> None:
    x, y, wanted = found(name, values, np.float32)
    assert np.all(np.abs(y - wanted) <= 1.2e-7 * (3 + np.abs(x)) * np.abs(wanted) + SMALLEST)


@pytest.mark.parametrize("name", ["softplus", "silu"])
def test_far_from_zero_they_are_their_asymptotes(name) -> None:
    _, y, wanted = found(name, [-1e30, -200.0, -95.0, 100.0, 1e30], np.float32)
    np.testing.assert_allclose(y, wanted, rtol=1e-7, atol=1e-35)


@pytest.mark.parametrize("name", REFERENCES)
def test_what_is_no_number_stays_none(name) -> None:
    for dtype in (np.float32, np.float64):
        assert np.isnan(found(name, [np.nan], dtype)[1]).all()


@pytest.mark.parametrize("name", REFERENCES)
def test_float64_is_that_of_the_library(name) -> None:
    _, y, wanted = found(name, -np.logspace(-9, 2.8, 99), np.float64)
    np.testing.assert_allclose(y, wanted, rtol=1e-13)


@pytest.mark.parametrize("name", REFERENCES)
def test_loops_over_float32_are_vectorised(name) -> None:
    found(name, [0.0], np.float32)
    code = next(text for types, text in LOOPS[name].inspect_llvm().items() if "float32" in str(types))
    assert re.search(r"fmul [a-z ]*<\d+ x float>", code)
    assert not re.search(r"call .*@(exp|log)", code)
