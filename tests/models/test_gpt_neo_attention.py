"""Fused attention of GPT-Neo against transformers' own, which writes all matrices out."""

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from lib.generation.decoder_state import DecoderState
from lib.models import gpt_neo_attention, loading

V, LONGEST = 60, 80


def tiny(window: int = 16, **changes) -> GPTNeoForCausalLM:
    """Two global and two local layers; large weights, so that attention is sharp."""
    torch.manual_seed(0)
    shape = {"vocab_size": V, "hidden_size": 32, "num_layers": 4, "num_heads": 4, "intermediate_size": 64}
    pattern = {"attention_types": [[["global", "local"], 2]], "window_size": window, "max_position_embeddings": LONGEST}
    return GPTNeoForCausalLM(GPTNeoConfig(**shape, **pattern, initializer_range=0.2, **changes)).eval()


def fused(model: GPTNeoForCausalLM) -> GPTNeoForCausalLM:
    """A copy that is made fast; each of its layers must be."""
    copied = copy.deepcopy(model)
    gpt_neo_attention.choose(copied)
    layers = [type(block.attn.attention) for block in copied.transformer.h]
    assert layers == [gpt_neo_attention.FusedSelfAttention] * 4
    return copied


PAIRS = {window: (model, fused(model)) for window in (4, 16) for model in [tiny(window)]}


@given(st.sampled_from(sorted(PAIRS)), st.integers(1, 3), st.integers(1, LONGEST), st.data())
@settings(max_examples=20)
def test_logits_and_gradients_are_those_of_transformers(window, rows, length, data) -> None:
    """At lengths below, at and above the window, and that are no multiple of it."""
    plain, fast = PAIRS[window]
    ids = torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    wanted, found = plain(ids, labels=ids), fast(ids, labels=ids)
    scale = float(wanted.logits.detach().abs().max())
    torch.testing.assert_close(found.logits, wanted.logits, atol=5e-5 * max(1, scale / 7.5), rtol=0)
    if length > 1:
        for model, loss in ((plain, wanted.loss), (fast, found.loss)):
            model.zero_grad()
            loss.backward()
        for mine, theirs in zip(fast.parameters(), plain.parameters()):
            assert (mine.grad - theirs.grad).norm() <= 2e-5 * theirs.grad.norm() + 1e-7


@given(st.sampled_from(sorted(PAIRS)), st.integers(1, LONGEST - 1), st.sampled_from(["left", "right"]), st.data())
@settings(max_examples=20)
def test_padding_is_not_seen_on_either_side(window, padding, side, data) -> None:
    plain, fast = PAIRS[window]
    length = data.draw(st.integers(padding + 1, LONGEST))
    ids = torch.randint(0, V, (2, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    mask[1, slice(None, padding) if side == "left" else slice(length - padding, None)] = 0
    wanted, found = (model(ids, attention_mask=mask).logits for model in (plain, fast))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[mask > 0], wanted[mask > 0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("pieces", [[30, *[1] * 30], [3, 20, 1, 5, 1], [1, 1, 40, 7]], ids=str)
def test_going_on_from_a_cache_gives_the_logits_of_the_whole(pieces) -> None:
    """By one token and by several, through transformers' cache and through ours; padded rows as well."""
    plain, fast = PAIRS[16]
    ids = torch.randint(0, V, (2, sum(pieces)), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    with torch.inference_mode():
        wanted, padded = plain(ids).logits, plain(ids, attention_mask=mask).logits
        state = DecoderState(fast, ids.shape[1], splits=False)
        ours, theirs, past, start = [], [], None, 0
        for piece in pieces:
            stop = start + piece
            ours.append(state.read(ids[:, start:stop], keep=piece))
            step = fast(ids[:, start:stop], attention_mask=mask[:, :stop], past_key_values=past, use_cache=True)
            theirs.append(step.logits)
            past, start = step.past_key_values, stop
    torch.testing.assert_close(torch.cat(ours, 1), wanted, atol=1e-4, rtol=1e-5)
    seen = mask > 0
    torch.testing.assert_close(torch.cat(theirs, 1)[seen], padded[seen], atol=1e-4, rtol=1e-5)


def test_in_bf16_it_is_as_near_to_fp32_as_transformers() -> None:
    model = tiny().bfloat16()
    ids = torch.randint(0, V, (4, LONGEST), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        exact = copy.deepcopy(model).float()(ids).logits
        errors = [float((each(ids).logits - exact).norm() / exact.norm()) for each in (model, fused(model))]
    assert errors[1] < 1.1 * errors[0]


def test_recomputed_layers_give_the_same_gradients_and_dropout_is_kept() -> None:
    ids = torch.randint(0, V, (2, 50), generator=torch.Generator().manual_seed(3))
    kept, recomputed = fused(tiny()).train(), fused(tiny()).train()
    recomputed.gradient_checkpointing_enable({"use_reentrant": False})
    for model in (kept, recomputed):
        model(ids, labels=ids, use_cache=False).loss.backward()
    for mine, theirs in zip(recomputed.parameters(), kept.parameters()):
        assert torch.equal(mine.grad, theirs.grad)
    dropping = fused(tiny(attention_dropout=0.5))
    assert torch.equal(dropping(ids).logits, dropping(ids).logits)
    assert not torch.equal(dropping.train()(ids).logits, dropping(ids).logits)


def test_a_loaded_model_is_fused_and_saved_as_transformers_has_it(tmp_path, tiny_tokenizer) -> None:
    tiny().save_pretrained(tmp_path / "model")
    loading.load_tokenizer(tiny_tokenizer).save_pretrained(tmp_path / "model")
    model = loading.load_causal_lm(tmp_path / "model")
    assert isinstance(model.transformer.h[0].attn.attention, gpt_neo_attention.FusedSelfAttention)
    model.save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes(), name
    assert "sdpa" not in json.dumps(json.loads((tmp_path / "again" / "config.json").read_text()))
