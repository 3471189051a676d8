from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.texts import partition
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


@given(st.lists(st.integers(0, 90), min_size=1, max_size=9), st.data())
def test_pieces_cover_every_byte_once_and_whole_files_stay_where_they_were(sizes, data) -> None:
    can_be_cut = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "LEAST_PIECE", 7)
        patch.setattr(partition, "LARGEST_PIECE", 30)
        parts = data.draw(st.integers(1, partition.most_parts(sizes, can_be_cut)))
        found = partition.pieces(sizes, can_be_cut, parts)
    assert len(found) == parts
    assert all(found)
    assert {piece.file for part in found for piece in part} == set(range(len(sizes)))
    flat = [piece for part in found for piece in part]
    assert flat == sorted(flat)
    for file, size in enumerate(sizes):
        own = [(piece.start, piece.stop) for piece in flat if piece.file == file]
        assert [own[0][0], own[-1][1]] == [0, size]
        assert all(before[1] == after[0] for before, after in pairwise(own))
        assert can_be_cut[file] or len(own) == 1
    if parts <= len(sizes):
        assert [sorted({piece.file for piece in part}) for part in found] == [
            list(part) for part in split(sizes, parts)
        ]


def test_one_large_file_gives_even_parts() -> None:
    found = partition.pieces([10**12], [True], 20)
    totals = [sum(piece.size for piece in part) for part in found]
    assert max(totals) - min(totals) <= partition.LARGEST_PIECE
    assert max(piece.size for part in found for piece in part) <= partition.LARGEST_PIECE


def test_files_that_are_not_cut_may_be_too_few() -> None:
    with pytest.raises(TesseraError, match="2 files cannot fill 4 chunks; they can be cut into 3 at most"):
        partition.pieces([partition.LEAST_PIECE * 2, 10**9], [True, False], 4)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 20))
def test_small_pieces_are_taken_together_in_order(sizes, most) -> None:
    some = [partition.Piece(file, 0, size) for file, size in enumerate(sizes)]
    found = partition.together(some, most)
    assert [piece for group in found for piece in group] == some
    assert all(len(group) == 1 or sum(piece.size for piece in group) <= most for group in found)
    for before, after in pairwise(found):
        assert sum(piece.size for piece in before) + after[0].size > most
