import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.base.seeds import generator

KEY = st.tuples(st.integers(0, 1000), st.sampled_from(["a", "b", "ab"]), st.lists(st.integers(0, 50), max_size=2))


@given(KEY, KEY)
def test_streams_are_equal_only_for_equal_keys(one, other) -> None:
    draws = [generator(seed, purpose, *index).integers(2**62, size=4) for seed, purpose, index in (one, other)]
    assert np.array_equal(*draws) == (one == other)


def test_trailing_zero_is_another_stream() -> None:
    assert generator(1, "a").random() != generator(1, "a", 0).random()
