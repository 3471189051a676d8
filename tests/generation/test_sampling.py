"""Sampling: the race against the softmax, truncation by brute force, independence of the batch, suppression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.generation import sampling
from lib.models import loading


@pytest.fixture(scope="module")
def model(tiny_causal_lm: Path):
    return loading.load_causal_lm(tiny_causal_lm)


def streams(indices: range) -> list[np.random.Generator]:
    return [generator(3, "test", index) for index in indices]


def test_the_race_draws_from_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, -torch.inf, -3.0])
    exponentials = np.random.default_rng(0).standard_exponential((40_000, 6))
    winners = sampling.race(logits.expand(40_000, 6), exponentials).numpy()
    counts, expected = np.bincount(winners, minlength=6), logits.softmax(0).double().numpy() * 40_000
    assert counts[4] == 0
    kept = expected > 0
    assert stats.chisquare(counts[kept], expected[kept] * counts.sum() / expected[kept].sum()).pvalue > 0.001


def test_the_race_survives_a_draw_of_zero() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 1.0]])
    assert sampling.race(logits, np.array([[0.0, 1.0, 1.0]])).item() == 2


@settings(max_examples=50, deadline=None)
@given(st.permutations(list(range(12))), st.integers(0, 14), st.floats(0.05, 1.0))
def test_truncation_equals_brute_force(order: list[int], top_k: int, top_p: float) -> None:
    logits = np.array(order, dtype=np.float32) / 3
    ranked = np.argsort(-logits)[: top_k or None]
    p = np.exp(logits[ranked].astype(np.float64)) / np.exp(logits[ranked].astype(np.float64)).sum()
    wanted = set(ranked[np.cumsum(p) - p < top_p - 1e-6].tolist())
    kept = sampling.truncate(torch.from_numpy(logits)[None], top_k, top_p)[0]
    allowed = set(ranked[np.cumsum(p) - p < top_p + 1e-6].tolist())
    assert wanted <= set(torch.isfinite(kept).nonzero().ravel().tolist()) <= allowed


def test_the_cache_changes_nothing(model) -> None:
    """Against a loop that reads the whole sequence again for every token."""
    rows, noise = torch.tensor([[0]] * 5), streams(range(5))
    with torch.inference_mode():
        for _ in range(12):
            p = model(input_ids=rows, use_cache=False).logits[:, -1].softmax(1)
            clocks = np.stack([stream.standard_exponential(p.shape[1]) for stream in noise])
            rows = torch.cat([rows, (p / torch.from_numpy(clocks)).argmax(1)[:, None]], dim=1)
    np.testing.assert_array_equal(sampling.sample(model, [0], 12, streams(range(5))), rows[:, 1:].numpy())


def test_a_row_does_not_feel_its_batch(model) -> None:
    together = sampling.sample(model, [0], 20, streams(range(9)))
    assert [len(row) for row in together] == [20] * 9
    for start, stop in ((0, 1), (1, 5), (5, 9)):
        np.testing.assert_array_equal(
            sampling.sample(model, [0], 20, streams(range(start, stop))), together[start:stop]
        )


def test_streams_make_rows_differ_and_repeat(model) -> None:
    rows = sampling.sample(model, [0], 10, streams(range(6)))
    assert len({tuple(row) for row in rows}) == 6
    np.testing.assert_array_equal(rows, sampling.sample(model, [0], 10, streams(range(6))))


def test_special_tokens_and_ids_beyond_the_tokenizer_are_suppressed(model, tokenizer) -> None:
    suppress = sampling.suppressed_ids(tokenizer, model.config.vocab_size)
    beyond = range(len(tokenizer), model.config.vocab_size)
    assert suppress.tolist() == [0, 1, *beyond]  # <|endoftext|>, <mask>
    rows = sampling.sample(model, [0], 30, streams(range(40)), suppress=suppress)
    assert not np.isin(rows, suppress).any()
    assert np.isin(sampling.sample(model, [0], 30, streams(range(40))), suppress).any()  # it would draw them


def test_low_temperature_and_top_k_of_one_are_greedy(model) -> None:
    greedy = model.generate(torch.tensor([[0]]), max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    for setting in ({"temperature": 1e-4}, {"top_k": 1}, {"top_p": 1e-6}):
        row = sampling.sample(model, [0], 8, streams(range(1)), suppress=[0], **setting)[0]
        wanted = sampling.sample(model, [0], 8, streams(range(5, 6)), suppress=[0], top_k=1)[0]
        np.testing.assert_array_equal(row, wanted)
    np.testing.assert_array_equal(sampling.sample(model, [0], 8, streams(range(1)), top_k=1)[0], greedy[0, 1:].numpy())


def test_rows_end_when_they_have_enough_and_leave_the_others_alone(model) -> None:
    whole = sampling.sample(model, [0], 30, streams(range(7)))
    parted = sampling.sample(model, [0], 30, streams(range(7)), enough=lambda ids: sum(ids) % 3 == 0)
    for long, short in zip(whole, parted):
        ends = [n for n in range(8, 30, sampling.CHECK_EVERY) if sum(long[:n]) % 3 == 0]
        assert short == long[: ends[0] if ends else 30]
    assert len({len(row) for row in parted}) > 1


def test_a_state_space_model_is_sampled_the_same_way() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, state_size=4, num_hidden_layers=2)).eval()
    with torch.inference_mode():
        rows = torch.tensor([[3]])
        for _ in range(6):
            rows = torch.cat([rows, model(rows, use_cache=False).logits[:, -1:].argmax(2)], dim=1)
    np.testing.assert_array_equal(sampling.sample(model, [3], 6, streams(range(1)), top_k=1)[0], rows[0, 1:].numpy())
    whole = sampling.sample(model, [3], 20, streams(range(5)))
    parted = sampling.sample(model, [3], 20, streams(range(5)), enough=lambda ids: ids[0] % 2 == 0)
    assert [row[: len(short)] for row, short in zip(whole, parted)] == parted
    assert {len(row) for row in parted} == {8, 20}


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_k": -1}])
def test_settings_out_of_range_are_refused(model, wrong: dict) -> None:
    with pytest.raises(TesseraError, match="temperature must be above 0"):
        sampling.sample(model, [0], 1, streams(range(1)), **wrong)


def test_a_missing_start_token_is_refused(tokenizer, model) -> None:
    assert sampling.start_id(tokenizer, None) == sampling.start_id(tokenizer, "<|endoftext|>") == 0
    with pytest.raises(TesseraError, match="start_token '<s>'"):
        sampling.start_id(tokenizer, "<s>")
    with pytest.raises(TesseraError, match="at least one start id"):
        sampling.sample(model, [], 1, streams(range(1)))
