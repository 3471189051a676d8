"""Sampling: a loop without a cache, independence of the batch, suppression, the end of rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lib.base.errors import TesseraError
from lib.base.seeds import key
from lib.generation import decode_loop, sampling
from lib.generation.counter_noise import exponentials
from lib.generation.decoding import Decoding
from lib.models import loading


@pytest.fixture(scope="module")
def model(tiny_causal_lm: Path):
    return loading.load_causal_lm(tiny_causal_lm)


HOW = Decoding("sample")


def keys(indices: range) -> np.ndarray:
    return np.array([key(3, "test", index) for index in indices], dtype=np.int64)


def sample(model, start: list[int], n_tokens: int, indices: range, how: Decoding = HOW, **others) -> list[list[int]]:
    return sampling.sample(model, start, n_tokens, keys(indices), how, **others)


def test_the_cache_changes_nothing(model) -> None:
    """Against a loop that reads the whole sequence again for every token."""
    rows, secrets = torch.tensor([[0]] * 5), torch.from_numpy(keys(range(5)))
    with torch.inference_mode():
        for step in range(12):
            p = model(input_ids=rows, use_cache=False).logits[:, -1].double().softmax(1)
            clocks = exponentials(secrets, step, torch.arange(p.shape[1])[None])
            rows = torch.cat([rows, (p / clocks).argmax(1)[:, None]], dim=1)
    np.testing.assert_array_equal(sample(model, [0], 12, range(5)), rows[:, 1:].numpy())


def test_a_row_does_not_feel_its_batch(model) -> None:
    together = sample(model, [0], 20, range(9))
    assert [len(row) for row in together] == [20] * 9
    for start, stop in ((0, 1), (1, 5), (5, 9)):
        np.testing.assert_array_equal(sample(model, [0], 20, range(start, stop)), together[start:stop])


def test_keys_make_rows_differ_and_repeat(model) -> None:
    rows = sample(model, [0], 10, range(6))
    assert len({tuple(row) for row in rows}) == 6
    np.testing.assert_array_equal(rows, sample(model, [0], 10, range(6)))


def test_special_tokens_and_ids_beyond_the_tokenizer_are_suppressed(model, tokenizer) -> None:
    suppress = sampling.suppressed_ids(tokenizer, model.config.vocab_size)
    beyond = range(len(tokenizer), model.config.vocab_size)
    assert suppress.tolist() == [0, 1, *beyond]  # <|endoftext|>, <mask>
    rows = sample(model, [0], 30, range(40), suppress=suppress)
    assert not np.isin(rows, suppress).any()
    assert np.isin(sample(model, [0], 30, range(40)), suppress).any()  # it would draw them


def test_low_temperature_and_top_k_of_one_are_greedy(model) -> None:
    greedy = model.generate(torch.tensor([[0]]), max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    narrow = Decoding("sample", top_k=1)
    for how in (Decoding("sample", 1e-4), narrow, Decoding("sample", top_p=1e-6), Decoding("greedy")):
        row = sample(model, [0], 8, range(1), how, suppress=[0])[0]
        wanted = sample(model, [0], 8, range(5, 6), narrow, suppress=[0])[0]
        np.testing.assert_array_equal(row, wanted)
    np.testing.assert_array_equal(sample(model, [0], 8, range(1), narrow)[0], greedy[0, 1:].numpy())


def test_rows_end_when_they_have_enough_and_leave_the_others_alone(model) -> None:
    whole = sample(model, [0], 30, range(7))
    parted = sample(model, [0], 30, range(7), enough=lambda ids: sum(ids) % 3 == 0)
    for long, short in zip(whole, parted):
        ends = [n for n in range(8, 30, decode_loop.CHECK_EVERY) if sum(long[:n]) % 3 == 0]
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
    np.testing.assert_array_equal(sample(model, [3], 6, range(1), Decoding("greedy"))[0], rows[0, 1:].numpy())
    whole = sample(model, [3], 20, range(5))
    parted = sample(model, [3], 20, range(5), enough=lambda ids: ids[0] % 2 == 0)
    assert [row[: len(short)] for row, short in zip(whole, parted)] == parted
    assert {len(row) for row in parted} == {8, 20}


def test_a_missing_start_token_is_refused(tokenizer, model) -> None:
    assert sampling.start_id(tokenizer, None) == sampling.start_id(tokenizer, "<|endoftext|>") == 0
    with pytest.raises(TesseraError, match="start_token '<s>'"):
        sampling.start_id(tokenizer, "<s>")
    with pytest.raises(TesseraError, match="at least one start id"):
        sample(model, [], 1, range(1))
