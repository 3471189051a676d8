"""Mamba on one core: transformers' own path, its `use_mambapy`, and the compiled scan, side by side.

python -m tests.benchmarks.bench_mamba

One model of random weights (width 128, 4 layers, state 8, 0.7 M parameters), the same batch of 8 x 256 tokens for all.
Loss and gradients have to agree. CPU time, the least of some interleaved repeats; a GPT-NeoX of the same width and
depth stands beside them.
"""

import copy
import time
from collections.abc import Callable

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MambaConfig, MambaForCausalLM
from transformers.utils import logging

from lib.models import mamba_scan

VOCABULARY, WIDTH, LAYERS, STATE, ROWS, LENGTH, STEPS = 2048, 128, 4, 8, 8, 256, 32
STOCK, MAMBAPY, OURS, PEER = "transformers' own path", "use_mambapy=True", "compiled scan", "(GPT-NeoX)"
REPEATS = {STOCK: 1, MAMBAPY: 3, OURS: 5, PEER: 5}  # the slow one takes seconds


def models() -> dict[str, torch.nn.Module]:
    """The same Mamba three times, and a GPT-NeoX."""
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, state_size=STATE, initializer_range=0.02
    )
    stock = MambaForCausalLM(config)
    mambapy, ours = copy.deepcopy(stock), copy.deepcopy(stock)
    for layer in mambapy.backbone.layers:
        layer.mixer.use_mambapy = True
    mamba_scan.use_fast_scan(ours)
    peer = GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=4 * WIDTH, max_position_embeddings=LENGTH + STEPS, tie_word_embeddings=True,
    )  # fmt: skip
    return {STOCK: stock, MAMBAPY: mambapy, OURS: ours, PEER: GPTNeoXForCausalLM(peer)}


def training_step(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Forward and backward pass; gradients are left in the model."""
    model.zero_grad()
    loss = model.train()(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss.detach()


@torch.no_grad()
def prefill(model: torch.nn.Module, ids: torch.Tensor) -> object:
    """The cache after the prompts, one row of logits a prompt."""
    name = "past_key_values" if isinstance(model, GPTNeoXForCausalLM) else "cache_params"
    return {name: getattr(model.eval()(ids, use_cache=True, logits_to_keep=1), name)}


@torch.no_grad()
def decode(model: torch.nn.Module, ids: torch.Tensor, cache: dict) -> None:
    """STEPS steps of one token a row."""
    for step in range(STEPS):
        model(ids[:, step : step + 1], use_cache=True, **cache)


def rates(
    found: dict[str, torch.nn.Module], task: Callable[[torch.nn.Module], Callable], tokens: int, repeats: dict[str, int]
) -> dict:
    """Tokens per CPU second of every model."""
    best = dict.fromkeys(found, float("inf"))
    for repeat in range(max(repeats.values())):
        for name, model in found.items():
            if repeat < repeats[name]:
                work = task(model)
                start = time.process_time()
                work()
                best[name] = min(best[name], time.process_time() - start)
    return {name: tokens / seconds for name, seconds in best.items()}


def main() -> None:
    """Print the rates, and how far losses and gradients are apart."""
    logging.set_verbosity_error()  # transformers tells that its path is slow
    torch.set_num_threads(1)
    found, ids = models(), torch.randint(VOCABULARY, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    losses = {name: training_step(found[name], ids) for name in (STOCK, OURS)}
    pairs = zip(found[STOCK].parameters(), found[OURS].parameters())
    apart = max(float((one.grad - other.grad).abs().max()) for one, other in pairs)
    assert apart < 1e-6, apart
    print(f"loss apart {float(abs(losses[STOCK] - losses[OURS])):.1e}, gradients {apart:.1e}")
    tasks = {
        "training": (lambda model: lambda: training_step(model, ids), ROWS * LENGTH),
        "prefill": (lambda model: lambda: prefill(model, ids), ROWS * LENGTH),
        "decoding": (_decoding(ids), ROWS * STEPS),
    }
    for what, (task, tokens) in tasks.items():
        measured = rates(found, task, tokens, REPEATS)
        for name, rate in measured.items():
            print(f"{what:9} {name:22} {rate:9.0f} tokens/s  {rate / measured[STOCK]:5.1f} x", flush=True)


def _decoding(ids: torch.Tensor) -> Callable:
    def task(model: torch.nn.Module) -> Callable:
        cache = prefill(model, ids)
        return lambda: decode(model, ids, cache)

    return task


if __name__ == "__main__":
    main()
