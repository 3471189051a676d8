"""The longest common n-gram against its definition."""

from difflib import SequenceMatcher

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Hamming, Levenshtein

from lib.corpus.near import common_ngrams

row = st.lists(st.integers(0, 2), min_size=7, max_size=7)


def brute(a: list[int], b: list[int]) -> int:
    grams = [{tuple(x[i : i + n]) for i in range(len(x) - n + 1)} for x in (a, b) for n in range(len(a) + 1)]
    half = len(a) + 1
    return max(n for n in range(half) if grams[n] & grams[half + n])


@given(st.lists(st.tuples(row, row), max_size=4))
def test_equal_to_the_definition(pairs) -> None:
    a, b = np.array(pairs, np.uint32).reshape(-1, 2, 7).swapaxes(0, 1)
    assert common_ngrams.longest_common(a, b).tolist() == [brute(*pair) for pair in pairs]


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(1, 200), st.sampled_from([1, 2, 9]), st.sampled_from([1, 1 << 28]))
def test_equal_to_difflib_for_every_length(seed: int, length: int, alphabet: int, spread: int) -> None:
    """Runs that end at any bit of any word, of ids for which there is a table, and of larger ones."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, alphabet, length)
    cut = int(rng.integers(length + 1))
    rows = [rng.integers(0, alphabet, length), np.roll(target, cut), np.where(np.arange(length) < cut, target, 10)]
    targets, windows = np.stack([target] * 3), np.stack(rows)
    found = common_ngrams.longest_common(*(part.astype(np.uint32) * np.uint32(spread) for part in (targets, windows)))
    for one, size in zip(windows.tolist(), found.tolist()):
        assert size == SequenceMatcher(None, target.tolist(), one, autojunk=False).find_longest_match().size


@given(row, row)
def test_the_least_possible_length_holds_at_either_distance(a, b) -> None:
    longest = brute(a, b)
    for metric in (Hamming, Levenshtein):
        assert common_ngrams.least_possible(np.array([metric.distance(a, b)]), 7)[0] <= longest


def test_known_answers() -> None:
    target = np.arange(100, dtype=np.uint32)
    windows = np.stack([target, np.roll(target, 1), np.where(target == 50, 999, target), target + 100])
    assert common_ngrams.longest_common(np.tile(target, (4, 1)), windows.astype(np.uint32)).tolist() == [100, 99, 50, 0]
    assert common_ngrams.least_possible(np.array([0, 1, 50, 100]), 100).tolist() == [100, 50, 1, 0]
