"""Windows of an audit against generating their suffixes: is the suffix what the model would write?

python -m tests.benchmarks.bench_audit

A GPT-NeoX and a Llama with random weights; 32 windows of 50 + 50 tokens, half of which end as the model would go on.
Beside it stand ours and transformers' greedy `generate`, in batches of the same size, and the latter for one window at
a time, on one core. All must say the same of every window; the audit also gives p_z, which generation does not.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from lib.audit import extraction
from lib.generation.continuations import continue_prompts
from lib.generation.decoding import Decoding
from lib.models.token_scores import score_tokens

WINDOWS, PROMPT, SUFFIX, BATCH, REPEATS = 32, 50, 50, 16, 2
SIZES = {
    "vocab_size": 8192,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "bos_token_id": 0,
    "eos_token_id": None,
}
MODELS: dict[str, Callable[[], Any]] = {
    "GPT-NeoX": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
    "Llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
}


def audited(model: Any, prompts: np.ndarray, suffixes: np.ndarray) -> np.ndarray:
    """How many tokens of each suffix greedy decoding repeats, from one pass."""
    found = score_tokens(model, suffixes, list(prompts), BATCH, top_k=40)
    assert found.rank is not None
    return extraction.matched_tokens(np.stack(found.rank))


def ours(model: Any, prompts: np.ndarray, suffixes: np.ndarray) -> np.ndarray:
    """The same by our decoding, which the stage generate uses."""
    keys = np.zeros(len(prompts), dtype=np.int64)
    made = continue_prompts(model, prompts, suffixes, SUFFIX, Decoding("greedy"), keys, batch_size=BATCH)
    return np.cumprod(made.ids == suffixes, axis=1).sum(axis=1)


@torch.no_grad()
def transformers_(model: Any, prompts: np.ndarray, suffixes: np.ndarray, batch: int = BATCH) -> np.ndarray:
    """The same by transformers' generate."""
    made = []
    for start in range(0, len(prompts), batch):
        ids = torch.tensor(prompts[start : start + batch])
        options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "pad_token_id": 0}
        made.append(model.generate(ids, max_new_tokens=SUFFIX, **options)[:, PROMPT:])
    return np.cumprod(torch.cat(made).numpy() == suffixes, axis=1).sum(axis=1)


def one_at_a_time(model: Any, prompts: np.ndarray, suffixes: np.ndarray) -> np.ndarray:
    """The same without batches."""
    return transformers_(model, prompts, suffixes, batch=1)


def compare(name: str, repeats: int) -> float:
    """All in turns; returns how many times the windows a second of transformers the audit reads."""
    torch.manual_seed(0)
    model, draws = MODELS[name]().eval(), np.random.default_rng(0)
    prompts, suffixes = (draws.integers(1, SIZES["vocab_size"], (WINDOWS, n)) for n in (PROMPT, SUFFIX))
    half = torch.tensor(prompts[: WINDOWS // 2])
    made = model.generate(half, attention_mask=torch.ones_like(half), do_sample=False, max_new_tokens=SUFFIX)
    suffixes[: WINDOWS // 2] = made[:, PROMPT:].numpy()
    rivals = {
        "audit, one pass": audited,
        "our decoding": ours,
        "transformers": transformers_,
        "one at a time": one_at_a_time,
    }
    seconds, found = dict.fromkeys(rivals, float("inf")), {}
    for _ in range(repeats):
        for rival, work in rivals.items():
            began = time.process_time()
            found[rival] = work(model, prompts, suffixes)
            seconds[rival] = min(seconds[rival], time.process_time() - began)
    if any((matched != found["transformers"]).any() for matched in found.values()):
        raise SystemExit(f"{name}: they do not say the same of every window")
    print(f"{WINDOWS} windows, {name} of {model.num_parameters():,} parameters, CPU time")
    for rival, value in seconds.items():
        print(f"  {rival:18s} {WINDOWS / value:8,.0f} windows/s {seconds['transformers'] / value:6.1f} x")
    return seconds["transformers"] / seconds["audit, one pass"]


def main(repeats: int = REPEATS) -> None:
    """Compare for each model on one core."""
    torch.set_num_threads(1)
    for name in MODELS:
        compare(name, repeats)


if __name__ == "__main__":
    main()
