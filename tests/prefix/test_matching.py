"""Matching by the definitions, in loops; BLEU against its formula in fractions and published known values."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.generation.decode_loop import ENDED
from lib.prefix import bleu, matching

IDS = st.lists(st.integers(0, 3), max_size=9)


def slow_bleu(candidate: list[int], reference: list[int]) -> float:
    """The formula, matches clipped one by one."""
    product, orders, misses = Fraction(1), 0, 0
    for n in range(1, 5):
        grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1)]
        left = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
        if not grams:
            break
        hits = 0
        for gram in grams:
            if gram in left:
                left.remove(gram)
                hits += 1
        if n == 1 and not hits:
            return 0.0
        misses += not hits
        product *= Fraction(hits, len(grams)) if hits else Fraction(1, 2**misses * len(grams))
        orders += 1
    if not orders:
        return 0.0
    return min(1.0, math.exp(1 - len(reference) / len(candidate))) * float(product) ** (1 / orders)


def slow_edits(a: list[int], b: list[int]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(slow_edits(a[1:], b) + 1, slow_edits(a, b[1:]) + 1, slow_edits(a[1:], b[1:]) + (a[0] != b[0]))


@given(IDS, st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_bleu_is_its_formula(candidate: list[int], reference: list[int]) -> None:
    assert bleu.score(candidate, reference) == pytest.approx(slow_bleu(candidate, reference), abs=1e-12)


def test_bleu_known_values() -> None:
    """What sacreBLEU 2.6 gives for the same ids as words (smooth_method exp, effective order)."""
    assert bleu.score([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == 1
    assert bleu.score([1, 2, 3, 9, 5, 6], [1, 2, 3, 4, 5, 6]) == pytest.approx(0.37991784)
    assert bleu.score([1, 2], [1, 2, 3, 4]) == pytest.approx(0.36787944)
    assert bleu.score([1, 5, 2, 6], [1, 2, 3, 4]) == pytest.approx(0.18995892)
    assert bleu.score([7, 8], [1, 2]) == 0


NLTK = [  # hypothesis, reference, sentence_bleu of NLTK 3.9.2 over its NLTKWordTokenizer, sentence by sentence
    ("the cat sat on the mat", "the cat sat on the mat", 1.0),
    ("the cat sat on a red mat today", "the cat sat on the mat today", 0.4111336169005197),
    ("one two three four six", "one two three five six", 0.0),
    ("a b c", "a b c", 0.0),  # no n-gram of order 4
    (
        "It's said he didn't pay $3.50 (a well-known price). They'd gone!",
        "It's said she didn't pay $3.50 (a well-known price). They'd left!",
        0.744373319312051,
    ),
    (
        'The river ran, and the old mill turned; no one knew why. "Go home," he said.',
        'The river ran, and the old mill stood; no one knew why. "Go home," she said.',
        0.7674174160136337,
    ),
    (
        "of the first part of the first book, of the year 1,000",
        "in the first part of the second book, of the year 1,000, which is lost",
        0.4927962762773293,
    ),
    (
        "Once upon a time there was a fox. It ran",
        "Once upon a time there was a fox. It ran away over the hill and was not seen again.",
        0.40289032152913296,
    ),
]


@pytest.mark.parametrize(("hypothesis", "reference", "expected"), NLTK)
def test_word_bleu_is_that_of_nltk(hypothesis: str, reference: str, expected: float) -> None:
    assert bleu.word_score(hypothesis, reference) == pytest.approx(expected, abs=1e-9)


@given(IDS, st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_bleu_that_is_not_smoothed_is_the_smoothed_one_where_every_order_has_a_match(
    candidate: list[int], reference: list[int]
) -> None:
    grams = [[tuple(ids[i : i + 4]) for i in range(len(ids) - 3)] for ids in (candidate, reference)]
    found = bleu.plain(candidate, reference)
    assert found == (pytest.approx(slow_bleu(candidate, reference)) if set(grams[0]) & set(grams[1]) else 0)


@st.composite
def rows(draw) -> tuple[np.ndarray, np.ndarray]:
    """Continuations (n, 6), some ended, and suffixes (n, 4)."""
    n = draw(st.integers(1, 4))
    made, suffixes = (np.array(draw(st.lists(_row(width), min_size=n, max_size=n))) for width in (6, 4))
    ends = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    made[np.arange(6) >= np.array(ends)[:, None]] = ENDED
    copied = draw(st.integers(0, 4))
    made[0, :copied] = suffixes[0, :copied]
    return made, suffixes


def _row(width: int):
    return st.lists(st.integers(0, 2), min_size=width, max_size=width)


@given(rows())
def test_matches_are_counted_as_in_a_loop(given_rows: tuple[np.ndarray, np.ndarray]) -> None:
    made, suffixes = given_rows
    matched = matching.matched_tokens(made, suffixes)
    similar, bleus = matching.edit_similarity(made, suffixes), matching.bleu_scores(made, suffixes)
    for row, (ids, suffix) in enumerate(zip(made.tolist(), suffixes.tolist())):
        agree = [a == b for a, b in zip(ids, suffix)]
        assert matched[row] == (agree.index(False) if False in agree else 4)
        real = [token for token in ids[:4] if token != ENDED]
        assert similar[row] == pytest.approx(1 - slow_edits(real, suffix) / 4)
        assert bleus[row] == pytest.approx(slow_bleu(real, suffix))
        assert (matched[row] == 4) == (similar[row] == 1) == (bleus[row] > 1 - 1e-12)


@given(_row(9), st.lists(st.integers(0, 2), min_size=1, max_size=10))
def test_a_suffix_is_looked_for_in_its_prompt(prompt: list[int], suffix: list[int]) -> None:
    expected = any(prompt[at : at + len(suffix)] == suffix for at in range(len(prompt) - len(suffix) + 1))
    assert matching.in_prompt(np.array([prompt]), np.array([suffix])).tolist() == [expected]


def test_too_short_continuations_are_refused() -> None:
    with pytest.raises(ValueError, match="do not cover"):
        matching.matched_tokens(np.zeros((2, 3), int), np.zeros((2, 4), int))
