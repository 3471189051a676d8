"""Every distance against a brute force of a few lines, its axioms, and known answers."""

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.perturbations import distances
from lib.perturbations.distances import MEASURES

ids = st.lists(st.integers(0, 3), max_size=7)


def plain_levenshtein(a, b, substitution=1):
    @functools.cache
    def cost(i, j):
        if i == 0 or j == 0:
            return i + j
        same = cost(i - 1, j - 1) + (0 if a[i - 1] == b[j - 1] else substitution)
        return min(same, cost(i - 1, j) + 1, cost(i, j - 1) + 1)

    return cost(len(a), len(b))


def searched_damerau(a, b):
    """The shortest way from a to b by single edits and transpositions of neighbours, found breadth first."""
    seen, front, steps = {tuple(a)}, {tuple(a)}, 0
    longest, alphabet = max(len(a), len(b)), set(b)
    while tuple(b) not in seen:
        front = {new for old in front for new in neighbours(old, alphabet) if len(new) <= longest} - seen
        seen |= front
        steps += 1
    return steps


def neighbours(row, alphabet):
    for i in range(len(row) + 1):
        for token in alphabet:
            yield (*row[:i], token, *row[i:])
            if i < len(row):
                yield (*row[:i], token, *row[i + 1 :])
        if i < len(row):
            yield row[:i] + row[i + 1 :]
        if i + 1 < len(row):
            yield (*row[:i], row[i + 1], row[i], *row[i + 2 :])


@given(ids, ids)
def test_edit_distances_are_the_recursion_by_hand(a, b):
    assert distances.levenshtein(a, b) == plain_levenshtein(a, b)
    assert distances.indel(a, b) == plain_levenshtein(a, b, substitution=2)


@given(st.lists(st.integers(0, 2), max_size=4), st.lists(st.integers(0, 2), max_size=4))
def test_damerau_is_the_shortest_way(a, b):
    assert distances.damerau(a, b) == searched_damerau(a, b)


@given(ids, ids, st.integers(1, 4))
def test_overlap_and_jaccard_are_those_of_counts_and_sets(a, b, n):
    left = list(b)
    common = sum(1 for token in a if token in left and (left.remove(token) or True))
    assert distances.token_overlap(a, b) == max(len(a), len(b)) - common
    mine, others = ({tuple(row[i : i + n]) for i in range(len(row) - n + 1)} for row in (a, b))
    found = distances.ngram_jaccard(a, b, n)
    if not mine or not others:
        assert math.isnan(found)
    else:
        assert found == 1 - len(mine & others) / len(mine | others)


@given(ids, ids)
def test_symmetric_zero_for_equal_ones_and_in_order(a, b):
    for name, measure in MEASURES.items():
        assert measure(a, b) == measure(b, a) or math.isnan(measure(a, b)), name
        assert measure(a, a) == 0 or math.isnan(measure(a, a)), name
    assert distances.token_overlap(a, b) <= distances.damerau(a, b) <= distances.levenshtein(a, b)
    assert distances.levenshtein(a, b) <= distances.indel(a, b) <= 2 * distances.levenshtein(a, b)


def test_known_answers():
    kitten, sitting = list(map(ord, "kitten")), list(map(ord, "sitting"))
    assert (distances.levenshtein(kitten, sitting), distances.indel(kitten, sitting)) == (3, 5)
    shifted = list(range(100)), [*range(1, 100), 0]
    assert [MEASURES[name](*shifted) for name in ("levenshtein", "token_overlap", "token_jaccard")] == [2, 0, 0]
    assert MEASURES["jaccard_2"](*shifted) == pytest.approx(1 - 98 / 100)
    assert distances.damerau([1, 2, 3], [2, 1, 3]) == 1
    assert distances.damerau([3, 1], [1, 2, 3]) == 2  # transpose, then insert between: more than optimal alignment sees
    assert math.isnan(MEASURES["jaccard_5"]([1, 2], [1, 2]))
    with pytest.raises(ValueError, match="at least 1"):
        distances.ngram_jaccard([1], [1], 0)
