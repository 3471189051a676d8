"""Counted noise: the law it claims, and that it depends on key, step and id alone."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.generation.counter_noise import exponentials

KEYS = st.integers(-(2**63), 2**63 - 1)


def splitmix(word: int) -> int:
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


@given(KEYS, st.integers(0, 10_000), st.integers(0, 300_000))
def test_the_words_are_those_of_plain_integers(key: int, step: int, index: int) -> None:
    golden = 0x9E3779B97F4A7C15
    row = splitmix((key + step * golden) % 2**64)
    word = splitmix(row ^ splitmix((index + 1) * golden % 2**64))
    expected = -np.log(((word >> 11) + 0.5) * 2.0**-53)
    found = exponentials(torch.tensor([key]), step, torch.tensor([[index]])).item()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_draws_are_exponential_along_every_axis() -> None:
    keys = torch.arange(200) - 100
    found = torch.stack([exponentials(keys, step, torch.arange(50)[None]) for step in range(20)]).numpy()
    assert found.shape == (20, 200, 50)
    assert (found > 0).all()
    for axis in (found[0, 0], found[0, :, 0], found[:, 0, 0], found.ravel()):
        assert stats.kstest(axis, "expon").pvalue > 0.001
    uniform = np.exp(-found)
    for left, right in (
        (uniform[1:], uniform[:-1]),
        (uniform[:, 1:], uniform[:, :-1]),
        (uniform[..., 1:], uniform[..., :-1]),
    ):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.01


def test_a_draw_does_not_feel_what_is_drawn_beside_it() -> None:
    keys, ids = torch.tensor([5, -7, 11]), torch.tensor([[3, 900, 41]])
    together = exponentials(keys, 4, ids)
    for row in range(3):
        for column in range(3):
            alone = exponentials(keys[row : row + 1], 4, ids[:, column : column + 1])
            assert alone.item() == together[row, column].item()
