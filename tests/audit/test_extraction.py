"""p_z and greedy matches from log-probabilities, ranks and masses, against whole distributions in double precision."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.audit import extraction

V = 7
LOGITS = st.lists(st.lists(st.integers(-6, 6), min_size=V, max_size=V), min_size=1, max_size=5)  # with ties


def evidence(logits: np.ndarray, target: list[int], k: int) -> tuple[np.ndarray, ...]:
    """l, rank and top-k mass of one suffix, as rows of a matrix."""
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rank = np.array([sum(other > row[one] for other in row) for row, one in zip(logits, target)])
    mass = [sum(q for q, value in zip(row, ls) if value >= sorted(ls)[-k]) for row, ls in zip(p, logits)]
    return np.log(p[np.arange(len(p)), target])[None], rank[None], np.log(mass)[None]


@given(LOGITS, st.integers(1, V), st.data())
def test_p_z_of_top_k_is_the_product_over_the_kept_ids(rows: list[list[int]], k: int, data: st.DataObject) -> None:
    logits = np.array(rows, dtype=float)
    target = data.draw(st.lists(st.integers(0, V - 1), min_size=len(rows), max_size=len(rows)))
    log_probs, rank, mass = evidence(logits, target, k)
    p = 1.0
    for row, one in zip(logits, target):
        kept = [value for value in row if value >= sorted(row)[-k]]
        p *= math.exp(row[one]) / sum(map(math.exp, kept)) if row[one] in kept else 0
    (found,) = np.exp(extraction.log_p_top_k(log_probs, rank, mass, k))
    assert found == pytest.approx(p, rel=1e-9)
    if k == V:
        np.testing.assert_allclose(extraction.log_p(log_probs), np.log(found), rtol=1e-9)
    greedy = [int(max(row) == row[one]) for row, one in zip(logits, target)]
    assert extraction.matched_tokens(rank)[0] == [*greedy, 0].index(0)


def test_known_answers() -> None:
    uniform = np.full((1, 50), -math.log(V))
    np.testing.assert_allclose(extraction.log_p(uniform), -50 * math.log(V))
    certain = np.zeros((1, 50))
    assert extraction.log_p_top_k(certain, np.zeros((1, 50), int), certain, 40)[0] == 0
    rounded_up = np.full((1, 50), 1e-7)  # float32 may leave a probability above that of all kept ids
    assert extraction.log_p_top_k(rounded_up, np.zeros((1, 50), int), certain, 1)[0] == 0
