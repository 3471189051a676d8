"""Per-token scores: known answers, torch's own cross-entropy one text at a time, brute force over the distribution."""

import logging
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from lib.models import output_head, rwkv_scan
from lib.models.token_scores import score_tokens

V = 97
SIZES = {
    "vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
MODELS = {
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
    "gpt_neo": lambda: GPTNeoForCausalLM(
        GPTNeoConfig(**SIZES, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]], window_size=8)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**SIZES, head_dim=16, num_key_value_heads=1)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SIZES, head_dim=16, num_key_value_heads=1, final_logit_softcapping=2.0)
    ),
    "phi": lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=V, hidden_size=32, state_size=4, num_hidden_layers=2)),
    "rwkv": lambda: rwkv(),
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.5)),
}
SPLITTABLE = sorted(set(MODELS) - {"cohere"})


def rwkv() -> torch.nn.Module:
    """An RWKV-4 as it is loaded."""
    model = RwkvForCausalLM(RwkvConfig(vocab_size=V, hidden_size=32, num_hidden_layers=2, context_length=64))
    rwkv_scan.use_parallel_scan(model)
    return model


def model_named(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return MODELS[name]().eval()


def some_texts(lengths=(9, 3, 20, 2, 9, 14), seed=0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, V, length).astype(np.uint32) for length in lengths]


def one_by_one(model, text, context=()) -> np.ndarray:
    """torch's cross-entropy over the model's own logits, one text alone."""
    ids = torch.tensor([[*context, *map(int, text)]])
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
    return -losses.numpy()[max(0, len(context) - 1) :]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_equals_cross_entropy_one_text_at_a_time(name):
    model, texts = model_named(name), some_texts()
    for batch_size in (1, 4, 64):
        found = score_tokens(model, texts, batch_size=batch_size)
        for row, text in enumerate(texts):
            np.testing.assert_allclose(found.log_probs[row], one_by_one(model, text), atol=1e-5)


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "mamba", "rwkv", "gemma2"])
def test_context_is_seen_and_not_scored(name):
    model, texts = model_named(name), some_texts((5, 1, 12))
    contexts = [[0], [0, 7, 7, 3], [5, 6]]
    found = score_tokens(model, texts, contexts, batch_size=3)
    for text, context, log_probs in zip(texts, contexts, found.log_probs):
        assert len(log_probs) == len(text)
        np.testing.assert_allclose(log_probs, one_by_one(model, text, context), atol=1e-5)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_common_context_is_run_once_and_changes_nothing(name):
    model, texts = model_named(name), some_texts((5, 1, 12, 9, 12))
    context = np.array([0, *range(40, 60)])
    passes = []
    embeddings = model.get_input_embeddings()
    handle = embeddings.register_forward_hook(lambda _, ids, embedded: passes.append(embedded.shape[1]))
    found = score_tokens(model, texts, [context] * len(texts), batch_size=2, moments=True)
    handle.remove()
    for text, log_probs in zip(texts, found.log_probs):
        np.testing.assert_allclose(log_probs, one_by_one(model, text, context.tolist()), atol=1e-5)
    longest = [33, 30, 22] if name in ("mamba", "rwkv", "cohere", "gemma2") else [13, 10, 2]
    assert passes[-3:] == longest  # the last id of the context predicts, so it is run with the texts


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "mamba", "rwkv"])
def test_other_texts_in_the_batch_change_nothing(name):
    model, texts = model_named(name), some_texts()
    together = score_tokens(model, texts, batch_size=4, moments=True)
    for row, text in enumerate(texts):
        alone = score_tokens(model, [text], moments=True)
        for column in ("log_probs", "mu", "sigma"):
            np.testing.assert_allclose(getattr(together, column)[row], getattr(alone, column)[0], atol=1e-5)


@pytest.mark.parametrize("name", ["gpt_neox", "gemma2", "mamba", "cohere"])
def test_moments_equal_brute_force_in_double_precision(name):
    model, texts = model_named(name), some_texts((7, 4))
    found = score_tokens(model, texts, moments=True)
    for row, text in enumerate(texts):
        with torch.no_grad():
            logits = model(torch.tensor([text.tolist()])).logits[0, :-1].double().numpy()
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        mu = (np.exp(log_p) * log_p).sum(1)
        sigma = np.sqrt((np.exp(log_p) * (log_p - mu[:, None]) ** 2).sum(1))
        np.testing.assert_allclose(found.mu[row], mu, atol=1e-5)
        np.testing.assert_allclose(found.sigma[row], sigma, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("name", ["gpt_neox", "llama", "gemma", "gemma2", "mamba", "cohere"])
def test_ranks_and_top_k_masses_equal_one_text_at_a_time_in_double_precision(name, batch_size):
    model, texts = model_named(name), some_texts((5, 9, 3, 9))
    contexts = [[0, 5], [0, 7, 7, 3], [1], [0, 2, 4]]
    found = {k: score_tokens(model, texts, contexts, batch_size, top_k=k) for k in (1, 10, V, 2 * V)}
    exact = model_named(name).double()
    for row, (text, context) in enumerate(zip(texts, contexts)):
        with torch.no_grad():
            logits = exact(torch.tensor([[*context, *map(int, text)]])).logits[0, len(context) - 1 : -1].numpy()
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        true = log_p[np.arange(len(text)), text]
        for k, scores in found.items():
            np.testing.assert_array_equal(scores.rank[row], (log_p > true[:, None]).sum(1))
            mass = np.log(np.exp(np.sort(log_p, 1)[:, -k:]).sum(1))
            np.testing.assert_allclose(scores.top_k_mass[row], mass, atol=1e-5)
            np.testing.assert_allclose(scores.top[row], log_p.max(1), atol=1e-5)
            np.testing.assert_array_equal(scores.likeliest[row], log_p.argmax(1))
            np.testing.assert_allclose(scores.log_probs[row], true, atol=1e-5)
            assert scores.mu is None


def test_ids_that_tie_with_the_last_of_the_top_k_count_as_sampling_counts_them():
    found = score_tokens(uniform_model(), some_texts(), [[0]] * 6, top_k=10, moments=True)
    for row, text in enumerate(some_texts()):
        assert (found.rank[row] == 0).all()
        np.testing.assert_array_equal(found.likeliest[row], text)
        np.testing.assert_allclose(found.top_k_mass[row], 0, atol=1e-6)
        np.testing.assert_allclose(found.mu[row], -math.log(V), atol=1e-6)


def uniform_model() -> torch.nn.Module:
    model = model_named("gpt_neox")
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    return model


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_uniform_model_has_nll_ln_v(batch_size):
    found = score_tokens(uniform_model(), some_texts(), [[0]] * 6, batch_size=batch_size, moments=True)
    for row in range(6):
        np.testing.assert_allclose(found.log_probs[row], -math.log(V), atol=1e-6)
        np.testing.assert_array_equal(found.mu[row], found.log_probs[row])
        np.testing.assert_array_equal(found.sigma[row], 0)


def test_blocks_of_any_size_give_the_same(monkeypatch):
    model, texts = model_named("llama"), some_texts()
    whole = score_tokens(model, texts, moments=True)
    monkeypatch.setitem(output_head.BLOCK_VALUES, "cpu", 1)
    monkeypatch.setattr(output_head, "BLOCK_POSITIONS", 3)
    parts = score_tokens(model, texts, moments=True)
    for column in ("log_probs", "mu", "sigma"):
        for left, right in zip(getattr(whole, column), getattr(parts, column)):
            np.testing.assert_allclose(left, right, atol=5e-6)


@pytest.mark.parametrize("name", SPLITTABLE)
def test_head_splits_off_without_full_logits(name, caplog, monkeypatch):
    monkeypatch.setattr(output_head, "over_full_logits", None)
    score_tokens(model_named(name), some_texts())
    assert "unusual" not in caplog.text


def test_unusual_head_falls_back_and_says_so(caplog, monkeypatch):
    model, texts = model_named("cohere"), some_texts()
    monkeypatch.setattr(output_head, "FULL_VALUES", 2 * 20 * V)  # two rows at a time
    with caplog.at_level(logging.WARNING):
        found = score_tokens(model, texts, batch_size=6)
    assert "CohereForCausalLM has an unusual output head" in caplog.text
    np.testing.assert_allclose(found.log_probs[2], one_by_one(model, texts[2]), atol=1e-5)


def test_training_mode_comes_back_and_dropout_is_off():
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, hidden_dropout=0.5)).train()
    first, second = (score_tokens(model, some_texts()).log_probs[2] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([[1, 2], [1, V]], f"row 1: token id {V}, but the model's vocabulary has {V} ids"),
        ([[1, 2], [-1, 2]], "row 1: token id -1"),
        ([[1, 2], [5]], "row 1: 1 tokens with its context"),
        ([[1.0, 2.0]], "row 0: token ids are 1-D integers, found float64"),
        ([[[1, 2]]], "row 0: token ids are 1-D integers"),
        ([[1, 2], list(range(65))], "row 1: 65 tokens with its context, but the model takes 64"),
    ],
)
def test_bad_input_names_the_row(texts, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        score_tokens(model_named("gpt_neo"), texts)


def test_other_bad_input():
    model = model_named("gpt_neox")
    with pytest.raises(ValueError, match="row 1: an empty text"):
        score_tokens(model, [[1], []], [[0], [0]])
    with pytest.raises(ValueError, match="1 contexts for 2 texts"):
        score_tokens(model, [[1], [2]], [[0]])
    with pytest.raises(ValueError, match="batch_size is 0"):
        score_tokens(model, [[1, 2]], batch_size=0)


def test_rotary_model_runs_beyond_its_length_with_a_warning(caplog):
    text = np.arange(80) % V
    found = score_tokens(model_named("gpt_neox"), [text])
    assert len(found.log_probs[0]) == 79
    assert "texts have up to 80 tokens, but GPTNeoXForCausalLM was trained for 64" in caplog.text


def test_no_texts_give_no_rows():
    found = score_tokens(model_named("gpt_neox"), [], moments=True)
    assert (found.log_probs, found.mu, found.sigma) == ([], [], [])


class LargestTensor(TorchDispatchMode):
    """Watches every operation: the most values that any result held."""

    values = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for item in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(item, torch.Tensor):
                self.values = max(self.values, item.numel())
        return result


def test_memory_is_bounded_by_the_block_for_a_vocabulary_of_256000():
    sizes = {**SIZES, "vocab_size": 256_000, "hidden_size": 4, "num_hidden_layers": 1}
    model, texts = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)), some_texts([16] * 12)
    with LargestTensor() as watch:
        score_tokens(model, texts, batch_size=12, moments=True)
    assert watch.values == output_head.BLOCK_POSITIONS * 256_000  # of 180 positions in the batch


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "mamba"])
@torch.no_grad()
def test_transformers_finds_the_same_in_a_batch_padded_on_the_left(name):
    model, texts = model_named(name), some_texts()
    width = max(map(len, texts))
    ids = torch.tensor(np.stack([np.pad(text, (width - len(text), 0), constant_values=13) for text in texts]).tolist())
    mask = torch.arange(width) >= torch.tensor([[width - len(text)] for text in texts])
    wanted = model(input_ids=ids, attention_mask=mask.long()).logits[:, :-1].log_softmax(-1)
    wanted = wanted.gather(2, ids[:, 1:, None])[:, :, 0].numpy()
    found = score_tokens(model, texts, batch_size=4).log_probs
    for text, row, values in zip(texts, found, wanted):
        np.testing.assert_allclose(row, values[width - len(text) :], atol=1e-5)
