"""Trains small language models from scratch: a GPT-NeoX, a Mamba, an RWKV-4 or a RoBERTa.

Everything is drawn from one seed. On one machine and with one thread count the weights repeat bit for bit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RwkvConfig,
    RwkvForCausalLM,
)

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.models import mamba_scan, rwkv_scan
from lib.tokens import tokenization

NOT_CHOSEN = -100  # the label of a position that the masked loss leaves out


@dataclass(frozen=True)
class Architecture:
    """The size of a model. Transformers: heads of each layer, four times the width between, positions it can read.

    Mamba: twice the width between, `state_size` numbers of state a channel. RWKV-4: four times the width between, the
    length it was trained for.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    context: int
    state_size: int = 16


@dataclass(frozen=True)
class Optimisation:
    """AdamW with a linear warm-up, a cosine to a tenth of the rate, and the gradient's norm clipped."""

    learning_rate: float
    steps: int
    warmup_ratio: float = 0.05
    final_ratio: float = 0.1
    weight_decay: float = 0.1
    clip: float = 1.0
    precision: str = "fp32"


def token_stream(tokenizer: Any, texts: Sequence[str], wanted: int, opening: int | None) -> np.ndarray:
    """At least `wanted` ids (int64) of the leading texts, each opened by `opening`; fewer when the texts end.

    Texts are encoded a few at a time and only until there are enough.
    """
    parts: list[np.ndarray] = []
    have = 0
    for block in _blocks(texts, 32):
        for ids in tokenization.encode_all(tokenizer, block):
            parts.append(np.array(([] if opening is None else [opening]) + ids, dtype=np.int64))
            have += len(parts[-1])
        if have >= wanted:
            break
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def rows(stream: np.ndarray, length: int) -> np.ndarray:
    """The stream as a matrix of `length` columns (its end, less than a row, is left out)."""
    count = len(stream) // length
    if count == 0:
        raise TesseraError(f"the text has {len(stream)} tokens, fewer than one row of {length}; give more text")
    return stream[: count * length].reshape(count, length)


def framed(matrix: np.ndarray, before: int, after: int) -> np.ndarray:
    """Every row with one id before it and one after it, as RoBERTa reads texts."""
    return np.pad(matrix, ((0, 0), (1, 1)), constant_values=((0, 0), (before, after)))


def batches(n_rows: int, batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of endless batches: each epoch is a permutation of its own, short remainders are carried over."""
    waiting: np.ndarray = np.zeros(0, dtype=np.int64)
    epoch = 0
    while True:
        while len(waiting) < batch_size:
            waiting = np.concatenate([waiting, generator(seed, "pre-training order", epoch).permutation(n_rows)])
            epoch += 1
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def corrupt(
    ids: np.ndarray,
    special: Sequence[int],
    mask_id: int,
    vocab_size: int,
    draw: np.random.Generator,
    rate: float = 0.15,
) -> tuple[np.ndarray, np.ndarray]:
    """BERT's corruption (Devlin et al. 2019): (inputs, labels), both int64 of the shape of `ids`.

    Of the ordinary tokens, `rate` are chosen; 80 % of these become the mask, 10 % a random id, 10 % stay.
    Labels hold the original id where chosen and -100 elsewhere.
    """
    chosen = (draw.random(ids.shape) < rate) & ~np.isin(ids, list(special))
    fate = draw.random(ids.shape)
    ordinary = np.setdiff1d(np.arange(vocab_size), list(special))
    inputs = np.where(chosen & (fate < 0.8), mask_id, ids)
    inputs = np.where(chosen & (fate >= 0.8) & (fate < 0.9), draw.choice(ordinary, size=ids.shape), inputs)
    return inputs, np.where(chosen, ids, NOT_CHOSEN)


def causal_model(size: Architecture, tokenizer: Any, seed: int) -> GPTNeoXForCausalLM:
    """A GPT-NeoX with untied embeddings and random weights that depend on `seed` alone."""
    return _initialised(GPTNeoXForCausalLM, GPTNeoXConfig(**_shared(size, tokenizer), tie_word_embeddings=False), seed)


def mamba_model(size: Architecture, tokenizer: Any, seed: int) -> MambaForCausalLM:
    """A Mamba with untied embeddings, as the GPT-NeoX it is compared with, and random weights from `seed` alone.

    Its scan is the fast one for the CPU.
    """
    shared = _shared(size, tokenizer)
    del shared["num_attention_heads"], shared["intermediate_size"], shared["max_position_embeddings"]
    config = MambaConfig(**shared, state_size=size.state_size, tie_word_embeddings=False, initializer_range=0.02)
    model = _initialised(MambaForCausalLM, config, seed)
    mamba_scan.use_fast_scan(model)
    return model


def rwkv_model(size: Architecture, tokenizer: Any, seed: int) -> RwkvForCausalLM:
    """An RWKV-4 with untied embeddings and random weights from `seed` alone; it runs without a loop over time."""
    shared = _shared(size, tokenizer)
    del shared["num_attention_heads"]
    model = _initialised(RwkvForCausalLM, RwkvConfig(**shared, tie_word_embeddings=False), seed)
    rwkv_scan.use_parallel_scan(model)
    return model


CAUSAL = {"gpt_neox": causal_model, "mamba": mamba_model, "rwkv": rwkv_model}


def masked_model(size: Architecture, tokenizer: Any, seed: int) -> RobertaForMaskedLM:
    """A RoBERTa without dropout (a few hundred steps cannot overfit) and with random weights from `seed`."""
    config = RobertaConfig(
        **{**_shared(size, tokenizer), "max_position_embeddings": size.context + tokenizer.pad_token_id + 1},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    return _initialised(RobertaForMaskedLM, config, seed)


def causal_losses(model: PreTrainedModel, data: np.ndarray, batch_size: int, seed: int) -> Iterator[Callable]:
    """One closure a step that gives the mean next-token loss (nats) of its batch, rows of `data`."""
    for index in batches(len(data), batch_size, seed):
        ids = torch.from_numpy(data[index])
        yield lambda ids=ids: model(input_ids=ids, labels=ids).loss


def masked_losses(
    model: RobertaForMaskedLM, data: np.ndarray, tokenizer: Any, batch_size: int, seed: int
) -> Iterator[Callable]:
    """One closure a step that gives the mean loss (nats) over the corrupted positions of its batch."""
    for step, index in enumerate(batches(len(data), batch_size, seed)):
        draw = generator(seed, "masking", step)
        inputs, labels = corrupt(data[index], tokenizer.all_special_ids, tokenizer.mask_token_id, len(tokenizer), draw)
        yield lambda inputs=inputs, labels=labels: masked_loss(
            model, torch.from_numpy(inputs), torch.from_numpy(labels)
        )


def masked_loss(model: RobertaForMaskedLM, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the labelled positions; the vocabulary's logits are computed at these alone."""
    chosen = labels != NOT_CHOSEN
    hidden = model.roberta(input_ids=inputs).last_hidden_state[chosen]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden).float(), labels[chosen])


def train(
    model: Any, losses: Iterator[Callable], optimisation: Optimisation, report: Callable[[int, float], None]
) -> np.ndarray:
    """Train in place; returns the loss before each step (float64, one a step).

    Raises TesseraError at the first step whose loss is not finite.
    """
    model.train()
    optimizer = _optimizer(model, optimisation)
    history = np.zeros(optimisation.steps)
    for step, loss in enumerate(islice(losses, optimisation.steps)):
        _set_rate(optimizer, learning_rate(step, optimisation))
        history[step] = _step(model, optimizer, loss, optimisation)
        if not math.isfinite(history[step]):
            raise TesseraError(f"the loss is {history[step]} at step {step}; lower the learning rate")
        report(step, history[step])
    return history


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """The rate of step 0, 1, ...: linear warm-up, then a cosine from the full rate down to `final_ratio` of it."""
    warmup = max(1, round(optimisation.warmup_ratio * optimisation.steps))
    if step < warmup:
        return optimisation.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, optimisation.steps - 1 - warmup)
    share = optimisation.final_ratio + (1 - optimisation.final_ratio) * (1 + math.cos(math.pi * progress)) / 2
    return optimisation.learning_rate * share


def choose_precision(wanted: str) -> str:
    """`bf16` or `fp32`; `auto` takes bf16 where the CPU has instructions for it.

    Measured on one core at width 128: with them bf16 is 1.7 times as fast as fp32, without them 10 times slower.
    """
    if wanted != "auto":
        return wanted
    able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if able else "fp32"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with `count` threads: their number is the order of the sums, so it decides the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _step(model: Any, optimizer: torch.optim.Optimizer, loss: Callable, optimisation: Optimisation) -> float:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=optimisation.precision == "bf16"):
        value = loss()
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), optimisation.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(value.detach())


def _optimizer(model: Any, optimisation: Optimisation) -> torch.optim.Optimizer:
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim <= 1]  # norms and biases do not decay
    groups = [{"params": matrices, "weight_decay": optimisation.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=optimisation.learning_rate, betas=(0.9, 0.95), fused=True)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _initialised(kind: Any, config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "initialisation").integers(2**62)))
        return kind(config)


def _shared(size: Architecture, tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": size.vocab_size,
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.width,
        "max_position_embeddings": size.context,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))
