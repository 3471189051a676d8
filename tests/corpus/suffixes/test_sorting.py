"""Sorted suffixes against sorted()."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.suffixes import DEPTHS, DTYPES, by_brute_force, suffix_array, texts


@given(texts(), st.sampled_from(DEPTHS))
def test_equals_brute_force(tokens, depth) -> None:
    assert suffix_array(tokens, depth).tolist() == by_brute_force(tokens.tolist(), depth)


def test_banana() -> None:
    letters = np.frombuffer(b"banana", np.uint8)
    for dtype in DTYPES:
        assert suffix_array(letters.astype(dtype), 1024).tolist() == [5, 3, 1, 0, 4, 2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [7, 64, 1024])
def test_one_long_run_is_ordered_by_its_end_and_by_position(dtype, depth) -> None:
    size = 5000
    got = suffix_array(np.full(size, 3, dtype), depth)
    cut = np.arange(size - 1, size - depth, -1)
    assert got.tolist() == [*cut, *range(size - depth + 1)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_long_runs_of_equal_keys_end_at_the_end_of_the_text(dtype) -> None:
    """Runs beyond what merging sorts, with zeros at the end, which the padding of keys looks like."""
    rng = np.random.default_rng(0)
    for size in (700, 701, 702, 703):
        tokens = np.concatenate([rng.integers(0, 2, size) * (rng.random(size) < 0.01), np.zeros(3)]).astype(dtype)
        for depth in (6, 50, 1024):
            assert suffix_array(tokens, depth).tolist() == by_brute_force(tokens.tolist(), depth)


def test_odd_byte_offsets() -> None:
    tokens = np.random.default_rng(1).integers(0, 3, 300).astype("<u2")
    shifted = np.frombuffer(b"x" + tokens.tobytes(), "<u2", offset=1)
    assert not shifted.flags.aligned
    assert suffix_array(shifted, 1024).tolist() == by_brute_force(tokens.tolist(), 1024)
