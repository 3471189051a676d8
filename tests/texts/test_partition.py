from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.texts.partition import split

sizes = st.lists(st.integers(0, 60) | st.integers(0, 1 << 40), min_size=1, max_size=40)


@given(sizes, st.data())
def test_parts_are_consecutive_not_empty_and_cover_all(sizes: list[int], data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, len(sizes)))
    found = split(sizes, parts)
    assert [index for part in found for index in part] == list(range(len(sizes)))
    assert len(found) == parts
    assert all(map(len, found))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.data())
def test_cuts_stand_nearest_to_even(sizes: list[int], data: st.DataObject) -> None:
    """Each cut, given the one before it: no other place that leaves a file for every part is nearer."""
    parts = data.draw(st.integers(1, len(sizes)))
    cuts = [part.start for part in split(sizes, parts)]
    for k in range(1, parts):
        places = range(cuts[k - 1] + 1, len(sizes) - parts + k + 1)
        distances = {place: abs(sum(sizes[:place]) * parts - sum(sizes) * k) for place in places}
        assert distances[cuts[k]] == min(distances.values())


@given(st.integers(1, 9), st.integers(1, 6))
def test_equal_files_give_the_best_split_there_is(count: int, parts: int) -> None:
    if parts > count:
        return
    largest = max(len(part) for part in split([7] * count, parts))
    cuts = [(0, *chosen, count) for chosen in combinations(range(1, count), parts - 1)]
    assert largest == min(max(b - a for a, b in pairwise(cut)) for cut in cuts)


def test_slimpajamas_files() -> None:
    counts = [len(part) for part in split([15_000_000] * 59_166, 20)]
    assert set(counts) == {2958, 2959}


def test_sizes_beyond_64_bits_times_parts_stay_exact() -> None:
    assert [len(part) for part in split([1 << 60] * 4 + [1] * 4, 4)] == [1, 1, 1, 5]


def test_too_few_files() -> None:
    with pytest.raises(TesseraError, match="2 files cannot fill 3 chunks"):
        split([1, 1], 3)
