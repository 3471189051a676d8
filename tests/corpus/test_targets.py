"""Choosing targets: buckets, regions, priorities, uniformity."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.corpus import targets


def test_a_count_belongs_to_the_bucket_within_the_tolerance() -> None:
    buckets = targets.Buckets((100, 1000), 0.1)
    assert buckets.of(np.array([89, 90, 110, 111, 900, 1100, 1101])).tolist() == [0, 100, 100, 0, 1000, 1000, 0]
    assert buckets.limit([100]) == 110
    assert buckets.limit([]) == 0


def test_of_two_buckets_the_nearer_takes_a_count() -> None:
    assert targets.Buckets((10, 14), 0.5).of(np.array([11, 12, 13])).tolist() == [10, 10, 14]


@given(
    st.integers(1, 6), st.lists(st.integers(0, 30), max_size=6), st.lists(st.integers(0, 30), min_size=1, max_size=4)
)
def test_regions_overlap_when_windows_share_a_token(length, taken, asked) -> None:
    regions = targets.Regions(length)
    regions.take(3, np.array(taken, np.int64))
    wanted = any(set(range(p, p + length)) & set(range(q, q + length)) for p in taken for q in asked)
    assert regions.overlaps(3, np.array(asked, np.int64)) == wanted
    assert not regions.overlaps(2, np.array(asked, np.int64))


def test_regions_past_32_bits() -> None:
    regions = targets.Regions(100)
    regions.take(0, np.array([(1 << 33) + 50], np.int64))
    assert regions.overlaps(0, np.array([(1 << 33) + 149], np.int64))
    assert not regions.overlaps(0, np.array([50, (1 << 32) + 50, (1 << 33) + 150], np.int64))


def test_rounds_of_any_size_give_all_groups_once_in_the_same_order(monkeypatch) -> None:
    monkeypatch.setattr(targets, "DRAWN_AT_ONCE", 64)
    counts = np.random.default_rng(1).integers(2, 50, 500)
    whole = targets.next_round(counts, 5, 0, 1 << 64, 40)
    assert sorted(whole) == np.flatnonzero(counts <= 40).tolist()
    assert (whole[:20] != np.sort(whole)[:20]).any()
    bounds = [0, 1, 1 << 40, 1 << 63, (1 << 63) + 5, 1 << 64]
    parts = [targets.next_round(counts, 5, low, high, 40) for low, high in itertools.pairwise(bounds)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert targets.priorities(5, 70, 400).tolist() == targets.priorities(5, 0, 500)[70:400].tolist()
    assert targets.next_round(counts, 6, 0, 1 << 64, 40).tolist() != whole.tolist()


def test_choose_takes_by_priority_what_does_not_overlap() -> None:
    buckets = np.array([10, 0, 10, 20, 10, 10])
    occurrences = [np.array(row) for row in ([5, 100], [], [103], [200], [300], [400])]
    regions = targets.Regions(4)
    assert targets.choose(buckets, occurrences, 0, {10: 2, 20: 1}, regions) == [0, 3, 4]  # 2 overlaps, 10 is then full
    assert targets.choose(buckets, occurrences, 0, {10: 9}, regions) == [5]


def test_every_group_of_a_bucket_is_as_likely() -> None:
    """Chi-squared over 3,000 seeds: 20 groups, one of them taken each time."""
    counts = np.full(20, 7)
    firsts = [targets.next_round(counts, seed, 0, 1 << 64, 9)[0] for seed in range(3000)]
    observed = np.bincount(firsts, minlength=20)
    assert ((observed - 150) ** 2 / 150).sum() < 43.8  # the 99.9 % point of 19 degrees of freedom


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), max_size=5))
def test_unique_tokens(rows) -> None:
    windows = np.array(rows, np.uint16).reshape(len(rows), 5)
    assert targets.unique_tokens(windows).tolist() == [len(set(row)) for row in rows]


def test_random_windows_are_uniform_over_documents_and_chunks() -> None:
    offsets = [np.array([0, 2, 2, 7]), np.array([0]), np.array([0, 1, 4])]  # of 3 tokens: 3 windows, none, 1
    draws = list(itertools.islice(targets.random_windows(offsets, 3, 0), 4000))
    found = {pair: draws.count(pair) for pair in set(draws)}
    assert set(found) == {(0, 2), (0, 3), (0, 4), (2, 1)}
    assert all(900 < count < 1100 for count in found.values())


@given(st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=4), st.integers(1, 4))
def test_random_windows_are_those_of_a_list_of_all(lengths, at_once) -> None:
    """However many documents are looked at together, the draws are those from one list of all windows."""
    offsets = [np.cumsum([0, *row]).astype("<u8") for row in lengths]
    every = [
        (chunk, start)
        for chunk, row in enumerate(lengths)
        for size, first in zip(row, offsets[chunk].tolist())
        for start in range(first, first + size - 2)
    ]
    if not every:
        return
    stream = generator(3, "random targets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "DOCUMENTS", at_once)
        found = list(itertools.islice(targets.random_windows(offsets, 3, 3), 20))
    assert found == [every[int(stream.integers(0, len(every)))] for _ in range(20)]


def test_random_targets_do_not_overlap_and_are_rich() -> None:
    tokens = np.concatenate([np.arange(40), np.zeros(200)]).astype(np.uint16)
    found, _ = targets.choose_random([tokens], [np.array([0, 240])], 5, 4, 5, 1)
    positions = sorted(position for _, position in found)
    assert len(positions) == 4
    assert positions[-1] <= 36
    assert min(np.diff(positions)) >= 5
    found, refused = targets.choose_random([tokens], [np.array([0, 240])], 5, 40, 5, 1)
    assert 4 <= len(found) < 40
    assert sum(refused.values()) == 40 * targets.ATTEMPTS
    with pytest.raises(TesseraError, match="no document has 241 tokens"):
        targets.choose_random([tokens], [np.array([0, 240])], 241, 1, 5, 1)
