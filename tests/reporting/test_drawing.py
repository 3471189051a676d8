"""Which ticks an axis shows."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from lib.reporting import drawing

rising = st.lists(st.integers(1, 10**6), min_size=1, max_size=12, unique=True).map(sorted)


@given(rising, st.floats(0.01, 0.5), st.sampled_from([float, math.log, math.sqrt]))
def test_labels_stand_apart_and_none_that_has_room_is_left_out(values, least, place):
    kept = drawing.apart(values, least, place)
    room = least * (place(values[-1]) - place(values[0]))
    assert kept == sorted(set(kept) & set(values))
    assert (kept[0], kept[-1]) == (values[0], values[-1])
    assert all(place(right) - place(left) >= room for left, right in itertools.pairwise(kept))
    for value in set(values) - set(kept):
        assert min(abs(place(value) - place(other)) for other in kept) < 2 * room


def test_two_labels_without_room_are_one():
    assert drawing.apart([116, 122], 0.2, math.log, span=math.log(2.5)) == [116]


@given(st.floats(1e-3, 1e6), st.floats(1, 1e5))
def test_round_numbers_are_those_with_one_digit_of_1_2_and_5(low, factor):
    high = low * factor
    every = [float(f"{digit}e{power}") for power in range(-5, 13) for digit in (1, 2, 5)]
    found = drawing.round_numbers(low, high)
    assert len(found) == len([number for number in every if low <= number <= high])
    assert all(math.isclose(one, other) for one, other in zip(found, (n for n in every if low <= n <= high)))
