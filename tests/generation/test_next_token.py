"""Decoding: what is drawn follows the probabilities that are reported, by brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.base import config
from lib.base.errors import UsageError
from lib.generation import next_token
from lib.generation.decoding import Decoding

LOGITS = torch.tensor([0.0, 1.0, -1.0, 2.0, 1.0, -3.0])
SETTINGS = [
    Decoding("greedy"), Decoding("sample"), Decoding("sample", 0.5), Decoding("sample", 2.0, top_k=3),
    Decoding("sample", top_p=0.6), Decoding("sample", 1.5, 4, 0.8),
]  # fmt: skip


def brute_force(logits: np.ndarray, how: Decoding) -> np.ndarray:
    """The probability of every id; ties at a cut stay in."""
    if how.kind == "greedy":
        return (np.arange(len(logits)) == logits.argmax()).astype(float)
    p = np.exp(logits / how.temperature)
    if 0 < how.top_k < len(p):
        p[p < np.sort(p)[-how.top_k]] = 0
    p /= p.sum()
    if how.top_p < 1:
        ordered = np.sort(p)[::-1]
        p[p < ordered[np.searchsorted(np.cumsum(ordered), how.top_p)]] = 0
    return p / p.sum()


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_log_probs_are_those_of_brute_force(how: Decoding) -> None:
    found = next_token.log_probs(LOGITS.expand(6, 6), torch.arange(6), how).exp()
    np.testing.assert_allclose(found, brute_force(LOGITS.double().numpy(), how), atol=1e-6)


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_ids_are_drawn_with_the_reported_probabilities(how: Decoding) -> None:
    n = 20_000
    drawn = next_token.next_ids(LOGITS.expand(n, 6), how, torch.arange(n), step=3)
    counts, expected = np.bincount(drawn, minlength=6), brute_force(LOGITS.double().numpy(), how) * n
    assert not counts[expected == 0].any()
    if how.kind == "sample":
        assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 0.001


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.integers(0, 14), st.sampled_from([0.3, 0.77, 1.0]))
def test_truncated_ids_are_never_drawn(values: list[int], top_k: int, top_p: float) -> None:
    how, logits = Decoding("sample", 0.9, top_k, top_p), torch.tensor(values, dtype=torch.float32)
    drawn = next_token.next_ids(logits.expand(50, -1), how, torch.arange(50), step=0)
    assert torch.isfinite(next_token.log_probs(logits.expand(50, -1), drawn, how)).all()


@given(st.permutations(list(range(12))), st.integers(0, 14), st.floats(0.05, 1.0))
def test_truncation_equals_brute_force(order: list[int], top_k: int, top_p: float) -> None:
    logits = np.array(order, dtype=np.float32) / 3
    ranked = np.argsort(-logits)[: top_k or None]
    p = np.exp(logits[ranked].astype(np.float64)) / np.exp(logits[ranked].astype(np.float64)).sum()
    wanted = set(ranked[np.cumsum(p) - p < top_p - 1e-6].tolist())
    kept = next_token.truncate(torch.from_numpy(logits)[None], top_k, top_p)[0]
    allowed = set(ranked[np.cumsum(p) - p < top_p + 1e-6].tolist())
    assert wanted <= set(torch.isfinite(kept).nonzero().ravel().tolist()) <= allowed


@pytest.mark.parametrize("how", [Decoding("sample"), Decoding("sample", top_k=3)], ids=str)
def test_a_row_does_not_feel_its_batch(how: Decoding) -> None:
    logits = torch.randn(9, 50, generator=torch.Generator().manual_seed(0))
    together = next_token.next_ids(logits, how, torch.arange(9), 2)
    alone = [next_token.next_ids(logits[row : row + 1], how, torch.tensor([row]), 2).item() for row in range(9)]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    ("given_keys", "message"),
    [
        ({"kind": "beam"}, "one of 'greedy', 'sample'"),
        ({"kind": "sample", "temprature": 1.0}, "did you mean 'temperature'"),
        ({"kind": "sample", "temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"kind": "sample", "top_p": 0}, "top_p is 0.0; it must be above 0"),
        ({"kind": "greedy", "top_k": 40}, "leave them out for greedy"),
    ],
)
def test_wrong_settings_are_refused(given_keys: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config.build(Decoding, given_keys, "decoding")
