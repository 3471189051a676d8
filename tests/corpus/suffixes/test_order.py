import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.corpus.suffixes.order import first_out_of_order
from tests.support.suffixes import by_brute_force


@given(st.data())
def test_only_the_suffix_array_is_in_order(data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=12))
    depth = data.draw(st.integers(1, 15))
    right = by_brute_force(tokens, depth)
    given = data.draw(
        st.one_of(st.permutations(right), st.lists(st.integers(-1, 12), min_size=len(tokens), max_size=len(tokens)))
    )
    text = np.array(tokens, "<u2")
    assert first_out_of_order(text, np.array(right, "<u4"), depth, 0, len(right)) is None
    assert (first_out_of_order(text, np.array(given, "<i8"), depth, 0, len(right)) is None) == (given == right)


def test_the_first_wrong_entry_of_the_range_is_named() -> None:
    text = np.array([3, 1, 2, 1], "<u2")  # 3, 1, 2, 0
    for positions, start, wrong in (
        ([3, 1, 0, 2], 0, 3),
        ([3, 1, 2, 9], 0, 3),
        ([1, 3, 2, 0], 0, 1),
        ([1, 3, 2, 0], 2, None),
    ):
        assert first_out_of_order(text, np.array(positions, "<u4"), 1024, start, 4) == wrong
