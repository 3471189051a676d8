"""Insertion: n-grams stay whole and in order, what comes between is of the pool, uniform, and nested in its number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import UsageError
from lib.perturbations import insert

POOL = np.array([50, 51, 53, 57])


@given(st.integers(2, 30), st.data(), st.integers(1, 7), st.integers(0, 99))
def test_n_grams_with_ids_of_the_pool_between(length: int, data, inserted: int, seed: int) -> None:
    ngram = data.draw(st.integers(1, length - 1))
    made = insert.variation(range(length), ngram, inserted, POOL, np.random.default_rng(seed))
    position = 0
    for start in range(0, length, ngram):
        piece = list(range(start, min(start + ngram, length)))
        assert made[position : position + len(piece)] == piece
        position += len(piece)
        if piece[-1] < length - 1:
            assert set(made[position : position + inserted]) <= set(POOL.tolist())
            position += inserted
    assert position == len(made) == length + (-(-length // ngram) - 1) * inserted


def test_more_inserted_tokens_keep_the_first_ones() -> None:
    few = insert.variation(range(9), 3, 2, POOL, np.random.default_rng(4))
    many = insert.variation(range(9), 3, 5, POOL, np.random.default_rng(4))
    assert few[3:5] == many[3:5]
    assert few[8:10] == many[11:13]


def test_inserted_ids_are_uniform() -> None:
    made = insert.variation(range(10), 1, 500, POOL, np.random.default_rng(0))
    counts = [made.count(index) for index in POOL.tolist()]
    assert sum(counts) == 4500
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("ngram", [0, 10, 11])
def test_n_grams_with_nothing_between_are_refused(ngram: int) -> None:
    with pytest.raises(UsageError, match=f"ngram is {ngram}; canaries of 10 tokens allow 1 to 9"):
        insert.variation(range(10), ngram, 1, POOL, np.random.default_rng(0))
