"""The greedy choice against the plain loop, and thinning in any parts."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.corpus.near.non_overlapping import choose, thin
from tests.support.brute_near_duplicates import choice

windows = st.dictionaries(st.integers(0, 120), st.integers(0, 5), max_size=60)


def arrays(found: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    positions = np.array(sorted(found), np.int64)
    return positions, np.array([found[p] for p in positions.tolist()], np.uint16)


@given(windows, st.integers(1, 30))
def test_choice_equals_the_plain_loop(found: dict[int, int], length: int) -> None:
    positions, distances = arrays(found)
    kept = choose(positions, distances, length)
    wanted = choice([(0, p, d) for p, d in found.items()], length)
    assert positions[kept].tolist() == [p for _, p, _ in wanted]


@given(windows, st.integers(1, 30), st.lists(st.integers(0, 121), max_size=4))
def test_thinned_parts_leave_the_same_choice(found: dict[int, int], length: int, cuts: list[int]) -> None:
    positions, distances = arrays(found)
    wanted = positions[choose(positions, distances, length)].tolist()
    left = np.zeros(len(positions), bool)
    bounds = [0, *sorted(cuts), 121]
    for low, high in itertools.pairwise(bounds):
        part = (positions >= low) & (positions < high)
        left[part] = thin(positions[part], distances[part], length, low, high)
    positions, distances = positions[left], distances[left]
    assert positions[choose(positions, distances, length)].tolist() == wanted


def test_windows_that_touch_do_not_overlap() -> None:
    assert choose(np.array([0, 10, 19, 29]), np.array([1, 1, 0, 0]), 10).tolist() == [True, False, True, True]


def test_thinning_is_not_idle() -> None:
    positions = np.arange(1000, 1200)
    distances = np.abs(positions - 1100).astype(np.uint16)
    assert positions[thin(positions, distances, 100, 0, 5000)].tolist() == [1000, 1100]
