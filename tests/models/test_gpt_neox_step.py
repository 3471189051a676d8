"""The quick step of a GPT-NeoX layer against transformers' own layer and torch's attention."""

import copy
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from transformers.models.gpt_neox.modeling_gpt_neox import apply_rotary_pos_emb

from lib.generation.decoder_state import DecoderState
from lib.models import gpt_neox_step
from lib.models.attention_cache import BufferedLayer


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(**settings) -> GPTNeoXForCausalLM:
    torch.manual_seed(0)
    shape = {"vocab_size": 50, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3,
             "intermediate_size": 64, "initializer_range": 0.3}  # fmt: skip
    return GPTNeoXForCausalLM(GPTNeoXConfig(**shape, **settings)).eval()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 40), st.integers(1, 17), st.data())
def test_attention_equals_torch_over_a_growing_cache(rows, heads, length, half, data) -> None:
    size, scale = 2 * half, 0.3
    rotated = 2 * data.draw(st.integers(0, half))
    draws = torch.Generator().manual_seed(length)
    keys, values = (torch.randn(rows, heads, length, size, generator=draws) for _ in range(2))
    projected = 3 * torch.randn(rows, heads, 3, size, generator=draws)
    cos, sin = (torch.randn(1, 1, rotated, generator=draws) for _ in range(2))
    cache = BufferedLayer(room=length + 2)
    cache.update(keys, values)
    with torch.inference_mode():
        found = gpt_neox_step.attend(projected.flatten(1), cache, cos, sin, scale)
    query, key, value = (part[:, :, None] for part in projected.unbind(2))
    query, key = apply_rotary_pos_emb(query, key, cos, sin)
    keys, values = torch.cat([keys, key], 2), torch.cat([values, value], 2)
    wanted = torch.nn.functional.scaled_dot_product_attention(query, keys, values, scale=scale).flatten(1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(cache.keys, keys, atol=1e-5)
    np.testing.assert_array_equal(cache.values, values)


@pytest.mark.parametrize(
    "settings", [{}, {"use_parallel_residual": False}, {"attention_bias": False}, {"hidden_act": "relu"}], ids=str
)
def test_a_model_goes_on_as_before(settings) -> None:
    model, ids = tiny(**settings), torch.randint(0, 50, (3, 20))
    with torch.inference_mode(), patch.object(gpt_neox_step, "attend", wraps=gpt_neox_step.attend) as quick:
        wanted = model(ids).logits
        state = DecoderState(model, 20, splits=False)
        found = [state.read(ids[:, :8], keep=8), *(state.read(ids[:, [k]]) for k in range(8, 20))]
    assert quick.call_count == 12 * 2
    torch.testing.assert_close(torch.cat(found, dim=1), wanted, atol=1e-5, rtol=1e-5)


def test_training_padding_and_several_cores_go_the_way_of_transformers() -> None:
    model, ids = tiny(), torch.randint(0, 50, (2, 6))
    quick = copy.deepcopy(model)
    gpt_neox_step.choose(quick)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    with patch.object(gpt_neox_step, "attend", side_effect=AssertionError):
        torch.testing.assert_close(quick(ids, labels=ids).loss, model(ids, labels=ids).loss)
        quick.train()(ids[:, :1]).logits.sum().backward()
        quick.eval()
        assert quick.gpt_neox.layers[0].mlp.dense_h_to_4h.weight.grad is not None
        with torch.inference_mode():
            torch.testing.assert_close(quick(ids, attention_mask=mask).logits, model(ids, attention_mask=mask).logits)
            torch.set_num_threads(2)
            state = DecoderState(quick, 6, splits=False)
            found = [state.read(ids[:, [k]]) for k in range(6)]
            torch.testing.assert_close(torch.cat(found, dim=1), model(ids).logits, atol=1e-5, rtol=1e-5)


def test_a_full_cache_is_not_written_past() -> None:
    state = DecoderState(tiny(), 4, splits=False)
    with torch.inference_mode():
        state.read(torch.randint(0, 50, (2, 4)))
        with pytest.raises(IndexError, match="no room for more than 4"):
            state.read(torch.randint(0, 50, (2, 1)))
