"""Attention of one token against torch's own kernel, on the model's path and alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from lib import one_token_attention
from lib.decoder_state import DecoderState


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@given(
    st.integers(1, 3),
    st.sampled_from([(1, 1), (4, 4), (6, 2), (4, 1)]),
    st.integers(1, 40),
    st.integers(1, 33),
    st.integers(0, 5),
)
def test_equals_torch_in_buffers_that_are_filled_in_part(rows, heads, length, size, spare) -> None:
    n_heads, n_key_heads = heads
    draws = torch.Generator().manual_seed(length)
    query = torch.randn(rows, n_heads, 1, size, generator=draws)
    key, value = (
        torch.randn(rows + 1, n_key_heads, length + spare, size, generator=draws)[1:, :, :length] for _ in range(2)
    )
    with torch.inference_mode():
        assert one_token_attention._suits(query, key, value, None)
        found, _ = one_token_attention.forward(None, query, key, value, None, scaling=0.3)
    repeated = (states.repeat_interleave(n_heads // n_key_heads, dim=1) for states in (key, value))
    wanted = torch.nn.functional.scaled_dot_product_attention(query, *repeated, scale=0.3).transpose(1, 2)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_a_model_goes_on_as_before(architecture) -> None:
    torch.manual_seed(0)
    shape = {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    if architecture == "gpt_neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**shape)).eval()
    else:
        model = LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=2)).eval()
    ids = torch.randint(0, 50, (3, 20))
    with torch.inference_mode():
        wanted = model(ids).logits
        state = DecoderState(model, 20, splits=False)
        assert model.config._attn_implementation == one_token_attention.NAME
        found = [state.read(ids[:, :8], keep=8), *(state.read(ids[:, [k]]) for k in range(8, 20))]
    torch.testing.assert_close(torch.cat(found, dim=1), wanted, atol=1e-5, rtol=1e-5)


def test_other_queries_go_to_torch() -> None:
    states = torch.randn(2, 4, 5, 8)
    with torch.inference_mode():
        assert not one_token_attention._suits(states, states, states, None)
        assert not one_token_attention._suits(states[:, :, :1], states, states, torch.zeros(2, 1, 1, 5))
        assert not one_token_attention._suits(states[:, :, :1].double(), states.double(), states.double(), None)
        assert not one_token_attention._suits(states[:, :, :1], states[..., ::2], states[..., ::2], None)
