"""Distinct variations, their edit distances, and what of them survives as text."""

from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lib.models import loading
from lib.perturbations import variations
from lib.tokens.tokenization import decode, encode


@given(st.lists(st.integers(0, 3), max_size=7), st.lists(st.integers(0, 3), max_size=7))
def test_edit_distance_equals_the_recursion(a: list[int], b: list[int]) -> None:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        substituted = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(substituted, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    assert variations.edit_distance(a, b) == distance(len(a), len(b))


def test_known_edit_distances() -> None:
    assert variations.edit_distance([ord(c) for c in "kitten"], [ord(c) for c in "sitting"]) == 3
    assert variations.edit_distance(range(100), [*range(1, 100), 0]) == 2


def test_what_survives_as_text_is_measured(tiny_tokenizer: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    canary = encode(tokenizer, "numbers jumps quick")
    apart = [encode(tokenizer, letter)[0] for letter in "numbers"]  # as text they merge into one id
    assert canary[:1] == encode(tokenizer, "numbers")
    whole, broken = variations.measure(tokenizer, canary, [canary, apart + canary[1:]])
    assert whole == variations.Measured(0, 0, True)
    assert broken == variations.Measured(7, 0, False)  # nominally seven edits, trained on none
    assert decode(tokenizer, apart + canary[1:]) == "numbers jumps quick"


def test_variations_differ_where_the_draws_allow_it() -> None:
    values = {0: [[1], [2]], 1: [[2], [1], [3]], 2: [[2], [3]]}

    def draw(number: int, attempt: int) -> list[int]:
        return values[number][attempt % len(values[number])]

    made = variations.distinct(draw, [1], 3, attempts=3)
    assert made[:2] == [[2], [3]]
    assert made[2] in ([2], [3])
    assert variations.repeats([1], made) == 1
    assert variations.distinct(draw, [1], 2, attempts=3) == made[:2]
    assert variations.repeats([1], [[1], [1], [5]]) == 2
