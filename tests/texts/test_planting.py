"""What passages get: every condition, evenly, by the seed alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.texts import planting
from lib.texts.planting import EXACT, REPLACE, TRANSLATION, Condition


def test_near_duplicates_stand_beside_each_number_of_exact_copies() -> None:
    found = planting.conditions((0, 4), (0, 1), 9, (5,), ("b",))
    assert found == [
        Condition(EXACT, 0),
        Condition(EXACT, 4),
        Condition(REPLACE, 0, 9, level=5),
        Condition(REPLACE, 1, 9, level=5),
        Condition(TRANSLATION, 0, 9, setting="b"),
        Condition(TRANSLATION, 1, 9, setting="b"),
    ]


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 3))
def test_conditions_are_drawn_evenly(n_passages: int, n_conditions: int, seed: int) -> None:
    found = planting.assigned(n_passages, n_conditions, seed)
    counts = np.bincount(found, minlength=n_conditions)
    assert counts.sum() == n_passages
    assert counts.max() - counts.min() <= 1
    assert (found == planting.assigned(n_passages, n_conditions, seed)).all()


def test_another_seed_is_another_assignment() -> None:
    assert (planting.assigned(60, 6, 1) != planting.assigned(60, 6, 2)).any()
