"""Continuations against the plainest loop: the whole text read again for every id."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from lib.generation import continuations, decode_loop, decoder_state, next_token, rows, static_step
from lib.generation.decoding import Decoding
from lib.models import attention_cache, gpt_neo_attention, mamba_scan, rwkv_scan
from lib.models.token_scores import score_tokens

V, P, S, C, END = 97, 11, 5, 40, 5
SIZES = {
    "vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
MODELS = {
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=1)),
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=V, hidden_size=32, state_size=4, num_hidden_layers=2)),
    "rwkv": lambda: RwkvForCausalLM(
        RwkvConfig(vocab_size=V, hidden_size=32, num_hidden_layers=2, context_length=64, rescale_every=1)
    ),
    "gpt_neo": lambda: GPTNeoForCausalLM(
        GPTNeoConfig(**SIZES, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]], window_size=8)
    ),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=8)),
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.5)),
}
GREEDY = Decoding("greedy")
SAMPLING = Decoding("sample", 0.9, 20, 0.95, seed=3)
DRAWS = np.random.default_rng(0)
PROMPTS, SUFFIXES = DRAWS.integers(1, V, (7, P)), DRAWS.integers(1, V, (7, S))
KEYS = DRAWS.integers(0, 2**63, 7)


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request) -> torch.nn.Module:
    return model_named(request.param)


def model_named(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return MODELS[name]().eval()


def made(model, how=GREEDY, rows=slice(None), batch_size=7, ends=(END,)) -> continuations.Continued:
    return continuations.continue_prompts(model, PROMPTS[rows], SUFFIXES[rows], C, how, KEYS[rows], ends, batch_size)


@torch.no_grad()
def by_hand(model, how: Decoding) -> list[list[int]]:
    ids = torch.tensor(PROMPTS)
    for step in range(C):
        logits = model(ids, use_cache=False).logits[:, -1].float()
        ids = torch.cat([ids, next_token.next_ids(logits, how, torch.tensor(KEYS), step)[:, None]], dim=1)
    rows = [row[: row.index(END) + 1] if END in row else row for row in ids[:, P:].tolist()]
    return [row + [-1] * (C - len(row)) for row in rows]


@pytest.mark.parametrize("how", [GREEDY, SAMPLING], ids=lambda how: how.kind)
def test_caches_change_nothing(model, how: Decoding) -> None:
    assert made(model, how).ids.tolist() == by_hand(model, how)


@torch.no_grad()
def test_the_suffix_is_scored_as_by_hand(model) -> None:
    found = made(model, SAMPLING)
    for row, (prompt, suffix) in enumerate(zip(PROMPTS, SUFFIXES)):
        logits = model(torch.tensor([[*prompt, *suffix]]), use_cache=False).logits[0, P - 1 : -1].float()
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(suffix), reduction="sum")
        np.testing.assert_allclose(found.suffix_nll[row], nll, atol=1e-4)
        log_p = next_token.log_probs(logits, torch.tensor(suffix), SAMPLING).sum()
        np.testing.assert_allclose(found.suffix_log_p[row], log_p, atol=1e-4)


@pytest.mark.parametrize("how", [GREEDY, SAMPLING], ids=lambda how: how.kind)
def test_nothing_depends_on_batch_size_or_batch_mates(model, how: Decoding) -> None:
    whole = made(model, how)
    for parts in ([made(model, how, batch_size=3)], [made(model, how, slice(0, 2)), made(model, how, slice(2, 7), 1)]):
        np.testing.assert_array_equal(np.concatenate([part.ids for part in parts]), whole.ids)
        np.testing.assert_allclose(np.concatenate([part.suffix_nll for part in parts]), whole.suffix_nll, atol=1e-5)
        log_p = np.concatenate([part.suffix_log_p for part in parts])
        np.testing.assert_allclose(log_p, whole.suffix_log_p, atol=1e-5)


def test_own_greedy_text_has_log_probability_zero(model) -> None:
    own = made(model, ends=()).ids[:, :S]
    again = continuations.continue_prompts(model, PROMPTS, own, S, Decoding("greedy"), KEYS)
    assert (again.suffix_log_p == 0).all()
    assert (again.suffix_nll > 0).all()
    own[3, 2] = (own[3, 2] + 1) % V
    changed = continuations.continue_prompts(model, PROMPTS, own, S, Decoding("greedy"), KEYS)
    assert changed.suffix_log_p[3] == -np.inf
    assert (np.delete(changed.suffix_log_p, 3) == 0).all()


def test_likelihoods_of_all_suffixes_of_one_id_sum_to_one() -> None:
    model = model_named("gpt_neox")
    same = np.repeat(PROMPTS[:1], V, axis=0)
    found = continuations.continue_prompts(model, same, np.arange(V)[:, None], 1, SAMPLING, np.arange(V), batch_size=20)
    np.testing.assert_allclose(np.exp(-found.suffix_nll).sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.suffix_log_p).sum(), 1, rtol=1e-5)


def test_a_row_ends_with_its_end_and_the_others_go_on() -> None:
    model = model_named("gpt_neox")
    whole = made(model, SAMPLING, ends=()).ids
    end = np.bincount(whole[:, : C // 2].ravel()).argmax()
    found = made(model, SAMPLING, ends=(end,)).ids
    lengths = [list(row).index(end) + 1 if end in row else C for row in whole]
    assert len(set(lengths)) > 2
    for row, length in enumerate(lengths):
        assert found[row].tolist() == whole[row, :length].tolist() + [-1] * (C - length)


def test_a_small_block_of_logits_is_enough(monkeypatch) -> None:
    model = model_named("mamba")
    whole = made(model, SAMPLING)
    monkeypatch.setattr(continuations, "_block_rows", lambda model, n_suffix: 2)
    np.testing.assert_allclose(made(model, SAMPLING).suffix_nll, whole.suffix_nll, atol=1e-5)


def test_the_fast_path_of_mamba_writes_the_same() -> None:
    plain, fast = model_named("mamba"), model_named("mamba")
    assert mamba_scan.use_fast_scan(fast) == 2
    for how in (GREEDY, SAMPLING):
        wanted, found = made(plain, how), made(fast, how, batch_size=3)
        np.testing.assert_array_equal(found.ids, wanted.ids)
        np.testing.assert_allclose(found.suffix_nll, wanted.suffix_nll, atol=1e-5)


def test_rows_of_rwkv_are_continued_together_by_its_fast_path() -> None:
    plain, fast = model_named("rwkv"), model_named("rwkv")
    rwkv_scan.use_parallel_scan(fast)
    assert [decoder_state.rows_together(model, 7) for model in (plain, fast)] == [1, 7]
    np.testing.assert_array_equal(made(fast, SAMPLING).ids, made(plain, SAMPLING).ids)


STATIC = {
    **{name: MODELS[name] for name in ("gpt_neox", "mamba")},
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "phi": lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    "gpt_neo": lambda: fused(MODELS["gpt_neo"]()),
}


def fused(model: torch.nn.Module) -> torch.nn.Module:
    gpt_neo_attention.choose(model)
    return model


@pytest.mark.parametrize("name", sorted(STATIC))
def test_the_step_of_a_gpu_writes_the_same(name, monkeypatch) -> None:
    """Without the graph, which a CPU lacks: in buckets of 16 positions, with rows that end."""
    torch.manual_seed(1)
    model = STATIC[name]().eval()
    wanted = made(model, SAMPLING)
    monkeypatch.setattr(static_step, "DEVICES", ("cpu",))
    monkeypatch.setattr(static_step, "BUCKET", 16)
    lengths, through = set(), static_step.StaticStep._through
    monkeypatch.setattr(static_step.StaticStep, "_through", lambda step: (lengths.add(step.length), through(step))[1])
    found = made(model, SAMPLING)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_allclose(found.log_probs, wanted.log_probs, atol=1e-5)
    assert lengths == ({0} if name == "mamba" else {16, 32, 48, P + C})
    assert set(static_step.MODELS) == set(STATIC)
    assert static_step.suits(model, attention_cache.buffered(model.config, 1))
    assert not any(
        static_step.suits(model_named(other), attention_cache.buffered(model_named(other).config, 1))
        for other in ("llama", "gpt_neo", "mistral")
    )  # shared heads, transformers' own mask, windows


class OnOneDevice(TorchDispatchMode):
    """Refuses what a graph cannot hold beside values read from tensors: numbers that come from the CPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        assert all(tensor.device.type == "meta" for tensor in tensors), function
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sorted(STATIC))
def test_no_step_of_a_gpu_waits_for_a_value(name, monkeypatch) -> None:
    """On the device `meta` tensors have no values, so that whatever reads one fails."""
    monkeypatch.setattr(static_step, "DEVICES", ("meta",))
    with torch.device("meta"), torch.inference_mode():
        state = decoder_state.DecoderState(STATIC[name]().eval(), P + C, splits=True)
        state.read(torch.zeros(3, P, dtype=torch.long))
        state.step(torch.zeros(3, dtype=torch.long))
        with OnOneDevice():
            assert state.static._through().shape == (3, V)


def test_rows_are_as_many_as_fit() -> None:
    room = 40
    kept = 2 * 2 * 1 * 16 * room * 4  # keys and values x layers x heads x their size, in float32
    assert rows.bytes_of_row(model_named("llama"), room) == kept + 4 * 20 * 32 * room + 32 * V
    whole = rows.bytes_of_row(model_named("llama"), room, splits=False)
    assert whole == kept + 4 * 20 * 32 * room + (32 + 8 * room) * V
    mistral = [rows.bytes_of_row(model_named("mistral"), length) for length in (room, 2 * room)]
    assert mistral[1] == 2 * mistral[0] - 32 * V
    state = 2 * 64 * (4 + 4) * 4  # layers x channels x (states and window) in float32
    assert rows.bytes_of_row(model_named("mamba"), room) == state + 4 * 20 * 32 * room + 32 * V
    assert [rows.fitting(80e9, size, 512) for size in (1e12, 1e10, 1e9, 1.5e8, 1e5)] == [1, 6, 64, 256, rows.MOST]
    assert made(model_named("llama"), batch_size="auto").ids.tolist() == made(model_named("llama")).ids.tolist()


def test_buffers_are_for_plain_attention_alone() -> None:
    assert attention_cache.buffered(model_named("llama").config, 8) is not None
    assert attention_cache.buffered(model_named("mistral").config, 8) is None


@pytest.mark.parametrize("wrong", [-1, V])
def test_ids_beyond_the_vocabulary_are_refused(wrong: int) -> None:
    prompts = PROMPTS.copy()
    prompts[4, 2] = wrong
    with pytest.raises(ValueError, match=f"row 4: token id {wrong}"):
        continuations.continue_prompts(model_named("llama"), prompts, SUFFIXES, C, Decoding("greedy"), KEYS)


def test_a_model_with_learned_positions_is_not_run_beyond_them() -> None:
    with pytest.raises(ValueError, match="have 71 ids, but the model takes 64"):
        continuations.continue_prompts(model_named("gpt_neo"), PROMPTS, SUFFIXES, 60, Decoding("greedy"), KEYS)


def test_more_ids_than_a_model_was_trained_for_are_warned_of(caplog) -> None:
    """Rotary positions go on beyond the training; what they are worth there is another matter."""
    continuations.continue_prompts(model_named("gpt_neox"), PROMPTS, SUFFIXES, 60, GREEDY, KEYS)
    assert "have 71 ids, but GPTNeoXForCausalLM was trained for 64" in caplog.text


def test_nothing_to_do_is_an_error() -> None:
    none = np.array([])  # what is left of texts that are all too short
    with pytest.raises(ValueError, match="not rows of ids; are all texts too short"):
        continuations.continue_prompts(model_named("llama"), none, none, C, GREEDY, KEYS[:0])
    with pytest.raises(ValueError, match="0 prompts"):
        continuations.continue_prompts(model_named("llama"), PROMPTS[:0], SUFFIXES[:0], C, Decoding("greedy"), KEYS[:0])


@pytest.mark.parametrize("how", [GREEDY, SAMPLING], ids=lambda how: how.kind)
def test_what_was_made_is_scored_as_a_pass_of_its_own_would(model, how: Decoding) -> None:
    found = made(model, how, batch_size=3)
    texts = [[*prompt, *ids[ids != decode_loop.ENDED]] for prompt, ids in zip(PROMPTS, found.ids)]
    wanted = score_tokens(model, texts, moments=True)
    for name in ("log_probs", "mu", "sigma"):
        matrix = getattr(found, name)
        assert matrix.shape == (len(PROMPTS), P + C)
        for row, text, values in zip(matrix, texts, getattr(wanted, name)):
            np.testing.assert_allclose(row[1 : len(text)], values, rtol=1e-5, atol=1e-5)
            assert np.isnan([row[0], *row[len(text) :]]).all()
