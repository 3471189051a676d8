"""RWKV-4 without a loop over time, against transformers' loop, a sum term by term, and finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import RwkvConfig, RwkvForCausalLM
from transformers.models.rwkv import modeling_rwkv

from lib.models import loading, rwkv_scan
from lib.models.rwkv_scan import wkv
from lib.tokens import train_bpe
from tests.support.scans import LENGTH, ids, stock_and_fast


def models(**changes):
    """transformers' own model, and the same weights with the parallel scan."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "context_length": 64, "rescale_every": 0}
    return stock_and_fast(RwkvForCausalLM(RwkvConfig(**{**sizes, **changes})).eval(), rwkv_scan.use_parallel_scan, 3)


def arguments(rows=2, length=7, channels=3, seed=0, scale=1.0, dtype=torch.float64):
    """decay, bonus, key, value; keys of a large scale overflow a sum that is not rescaled."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    key, value = scale * normal(rows, length, channels), normal(rows, length, channels)
    return [tensor.to(dtype) for tensor in (-normal(channels).exp(), normal(channels), key, value)]


def term_by_term(decay, bonus, key, value):
    """The published sum, in long doubles."""
    found = np.zeros(value.shape)
    decay, bonus, key, value = (np.longdouble(tensor.numpy()) for tensor in (decay, bonus, key, value))
    for b, t, d in np.ndindex(found.shape):
        past = np.arange(t)
        weights = np.append((t - 1 - past) * decay[d] + key[b, past, d], bonus[d] + key[b, t, d])
        weights = np.exp(weights - weights.max())
        found[b, t, d] = (weights * value[b, : t + 1, d]).sum() / weights.sum()
    return found


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 2), length=st.integers(1, 11), channels=st.integers(1, 3), seed=st.integers(0, 9),
    scale=st.sampled_from([1.0, 100.0]),
)  # fmt: skip
def test_wkv_is_the_published_sum(rows, length, channels, seed, scale):
    given = arguments(rows, length, channels, seed, scale)
    np.testing.assert_allclose(wkv(*given)[0], term_by_term(*given), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_gradients_are_those_of_finite_differences(length):
    given = [tensor.requires_grad_() for tensor in arguments(length=length)]
    assert torch.autograd.gradcheck(lambda *tensors: wkv(*tensors)[0], given)


def test_large_keys_of_float32_give_finite_gradients_close_to_those_of_doubles():
    ours = [tensor.requires_grad_() for tensor in arguments(2, 40, 8, scale=60.0, dtype=torch.float32)]
    theirs = [tensor.detach().double().requires_grad_() for tensor in ours]
    for tensors in (ours, theirs):
        wkv(*tensors)[0].sin().sum().backward()
    for one, other in zip(ours, theirs):
        scale = other.grad.abs().max()
        assert (one.grad - other.grad).abs().max() <= 1e-4 * scale


def test_the_state_is_that_of_transformers_up_to_its_scale():
    decay, bonus, key, value = arguments(dtype=torch.float32)
    y, state = wkv(decay, bonus, key, value)
    expected, theirs = modeling_rwkv.rwkv_linear_attention_cpu((-decay).log(), bonus, key, value, return_state=True)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    for one, other in zip(state[:2], theirs[:2]):
        torch.testing.assert_close(one * state[2].exp(), other * theirs[2].exp(), rtol=1e-5, atol=1e-6)


def test_logits_loss_and_gradients_are_those_of_transformers():
    found = []
    for model in models():
        model.train()
        output = model(input_ids=ids(), labels=ids())
        output.loss.backward()
        found.append((output, {name: parameter.grad for name, parameter in model.named_parameters()}))
    (stock, theirs), (fast, ours) = found
    torch.testing.assert_close(fast.logits, stock.logits, rtol=1e-4, atol=1e-5)
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("rows", "step"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("prompt", [2, 9])
@torch.no_grad()
def test_reading_on_from_a_state_is_reading_the_whole_text(prompt, rows, step):
    """transformers' own mixing of tokens cannot read single tokens of several texts on from a state."""
    _, fast = models()
    whole = fast(ids(rows)).logits
    output = fast(ids(rows)[:, :prompt], use_cache=True)
    parts = [output.logits]
    for start, stop in ((prompt, prompt + step), (prompt + step, LENGTH)):
        output = fast(ids(rows)[:, start:stop], state=output.state, use_cache=True)
        parts.append(output.logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_padding_on_the_right_changes_nothing_before_it():
    _, fast = models()
    alone = fast(ids()[:, :9]).logits
    torch.testing.assert_close(fast(ids()).logits[:, :9], alone, rtol=1e-5, atol=1e-5)


def test_a_model_in_evaluation_is_saved_with_the_weights_it_was_trained_with(tmp_path):
    """transformers halves weights in place on the first pass in evaluation: what is saved then is another model."""
    stock, _ = models(rescale_every=1)
    trained = {name: weight.clone() for name, weight in stock.state_dict().items()}
    tokenizer = train_bpe.train_tokenizer(["some text"], 257, masked=False)
    loading.save(stock, tokenizer, tmp_path / "a")
    loaded = loading.load_causal_lm(tmp_path / "a")
    with torch.no_grad():
        values = loaded(ids()).logits
    loading.save(loaded, tokenizer, tmp_path / "b")
    again = loading.load_causal_lm(tmp_path / "b")
    for name, weight in again.state_dict().items():
        torch.testing.assert_close(weight, trained[name], rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(values, stock(ids()).logits, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_in_bfloat16_the_sums_are_float32_as_in_transformers():
    stock, fast = (model.to(torch.bfloat16) for model in models())
    expected, found = stock(ids()).logits, fast(ids()).logits
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("dtype", "kept"), [(torch.float16, 2), (torch.bfloat16, 0), (torch.float32, 0)])
def test_only_float16_keeps_its_rescaling(dtype, kept):
    model = RwkvForCausalLM(RwkvConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, rescale_every=2)).to(dtype)
    rwkv_scan.use_parallel_scan(model)
    assert model.config.rescale_every == model.rwkv.config.rescale_every == kept
