"""The prefix attack against the way that published code goes: the same model, the same prompts, the same texts.

python -m tests.benchmarks.bench_prefix

Published ("Extracting Training Data from Large Language Models"): transformers' `generate` for ten prompts at a time,
sampling among the 40 likeliest ids, then for every text three passes of its own (large model, small model, lowercased)
with cross-entropy over all logits. Ours: lib.generation.continuations in large batches, which finds the likelihoods
under the large model on its way (and min-k, min-k++ and the suffix's own), then the other two by batches. GPT-NeoX and
Mamba of laptop size with random weights.

Each way has the whole machine as it would have it: the published one process with torch's own number of threads, ours
a task of one thread on every core, all at once; and the published way on one thread against one of our tasks. The
published way is timed on the first 40 prompts. The ways draw from other random numbers, so their sampled texts differ:
that both write the same ids when greedy, and give the same texts the same log-perplexities within 1e-5 of them, is
checked outside the clock.
"""

import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MambaConfig, MambaForCausalLM

from lib.base import ragged
from lib.generation.continuations import continue_prompts
from lib.generation.decoding import Decoding
from lib.models import mamba_scan
from lib.models.token_scores import score_tokens
from lib.prefix import generated
from lib.prefix.generated import Generated

VOCABULARY, PROMPT, SUFFIX, CONTINUATION = 2048, 50, 50, 256
N_PROMPTS, PUBLISHED_PROMPTS, PUBLISHED_BATCH, BATCH, SCORING_BATCH = 128, 40, 10, 128, 16
TOP_K, SAMPLING = 40, Decoding("sample", 1.0, 40, 1.0, 0)
N_CHECKED, CHECKED_TOKENS = 10, 64
NO_IDS = np.zeros(0, np.int64)
CORES = len(os.sched_getaffinity(0))


def gpt_neox(width: int, layers: int) -> GPTNeoXForCausalLM:
    """Of about 1.3 million parameters at width 128 and 4 layers."""
    torch.manual_seed(width)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * width, max_position_embeddings=512, initializer_range=0.1, eos_token_id=None,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config).eval()


def mamba(width: int, layers: int) -> MambaForCausalLM:
    """Of about 1.1 million parameters at width 128 and 7 layers."""
    torch.manual_seed(width)
    config = MambaConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, eos_token_id=None)
    return MambaForCausalLM(config).eval()


PAIRS = {
    "GPT-NeoX": (gpt_neox, (128, 4), (64, 3)),
    "Mamba": (mamba, (128, 7), (64, 6)),
    "GPT-NeoX, small": (gpt_neox, (64, 3), (32, 2)),
    "Mamba, small": (mamba, (64, 6), (32, 4)),
}


@torch.no_grad()
def one_text(model: Any, ids: list[int]) -> float:
    """The loss of one text, with a pass of its own."""
    everything = torch.tensor([ids])
    return model(everything, labels=everything).loss.item()


@torch.no_grad()
def published(large: Any, small: Any, prompts: np.ndarray, suffixes: np.ndarray, lower: list) -> dict[str, np.ndarray]:
    """Ten prompts at a time, then three passes for every text."""
    made = []
    for start in range(0, len(prompts), PUBLISHED_BATCH):
        batch = torch.tensor(prompts[start : start + PUBLISHED_BATCH])
        made.append(
            large.generate(
                batch, attention_mask=torch.ones_like(batch), do_sample=True, top_k=TOP_K, top_p=1.0,
                max_new_tokens=CONTINUATION, pad_token_id=0,
            )
        )  # fmt: skip
    texts = torch.cat(made).tolist()
    return {
        "ids": np.array(texts)[:, PROMPT:],
        "large": np.array([one_text(large, ids) for ids in texts]),
        "small": np.array([one_text(small, ids) for ids in texts]),
        "lower": np.array([one_text(large, ids) for ids in lower]),
    }


def ours(large: Any, small: Any, prompts: np.ndarray, suffixes: np.ndarray, lower: list) -> dict[str, np.ndarray]:
    """In batches, as the stage generate and the stage score_generations do it."""
    keys = np.arange(len(prompts))
    made = continue_prompts(large, prompts, suffixes, CONTINUATION, SAMPLING, keys, batch_size=BATCH)
    given = Generated(list(prompts), list(made.ids), [], [])
    rows = {
        "large": generated.as_made(given, "all", vars(made)).log_probs,
        "small": generated.by_ids(small, given, "all", NO_IDS, SCORING_BATCH).log_probs,
        "lower": score_tokens(large, lower, batch_size=SCORING_BATCH).log_probs,
    }
    return {"ids": made.ids} | {name: -ragged.means(values) for name, values in rows.items()}


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and CPU seconds, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def compare(name: str, n_prompts: int) -> float:
    """Both ways in one run; returns how many times the prompts per second of the published way, on all cores."""
    pair, given = models(name), texts(n_prompts)
    first = [part[:PUBLISHED_PROMPTS] for part in given]
    rates = {}
    for threads in (CORES, 1):
        torch.set_num_threads(threads)
        wall, cpu, theirs = timed(lambda: published(*pair, *first))
        rates[threads] = _say(name, f"published, threads: {threads}", len(first[0]), wall, cpu)
    together = _say(name, f"in batches, tasks: {CORES}", CORES * n_prompts, *_on_all_cores(name, n_prompts))
    loaded = [_as_loaded(model) for model in pair]
    wall, cpu, found = timed(lambda: ours(*loaded, *given))
    alone = _say(name, "in batches, tasks: 1", n_prompts, wall, cpu)
    _check(*pair, *loaded, first[0], first[2], theirs, {key: part[:PUBLISHED_PROMPTS] for key, part in found.items()})
    ratio = together / rates[CORES]
    print(
        f"  {name:16s} {ratio:.1f} x the prompts per second on all cores, {alone / rates[1]:.1f} x on one", flush=True
    )
    return ratio


def _on_all_cores(name: str, n_prompts: int) -> tuple[float, float]:
    """Wall and CPU seconds of a task on every core."""
    processes = get_context("spawn")
    with ProcessPoolExecutor(CORES, processes, _begin, (processes.Barrier(CORES),)) as pool:
        spans = [future.result() for future in [pool.submit(task, name, n_prompts) for _ in range(CORES)]]
    begun, ended, cpu = zip(*spans)
    return max(ended) - min(begun), sum(cpu)


def models(name: str) -> tuple[Any, Any]:
    """The large and the small model."""
    make, *shapes = PAIRS[name]
    return tuple(make(*shape) for shape in shapes)


def texts(n_prompts: int) -> tuple[np.ndarray, np.ndarray, list]:
    """Prompts, suffixes and lowercased texts."""
    draws = np.random.default_rng(0)
    prompts, suffixes = (draws.integers(1, VOCABULARY, (n_prompts, size)) for size in (PROMPT, SUFFIX))
    return prompts, suffixes, draws.integers(1, VOCABULARY, (n_prompts, PROMPT + CONTINUATION + 10)).tolist()


def task(name: str, n_prompts: int) -> tuple[float, float, float]:
    """Our way in a process of its own: when it began and ended, and its CPU seconds."""
    loaded = [_as_loaded(model) for model in models(name)]
    ours(*loaded, *texts(2))  # kernels are loaded
    _together.wait()
    start = time.perf_counter()
    _, cpu, _ = timed(lambda: ours(*loaded, *texts(n_prompts)))
    return start, time.perf_counter(), cpu


def _begin(barrier: Any) -> None:
    global _together
    _together = barrier
    torch.set_num_threads(1)


def _say(name: str, way: str, n_prompts: int, wall: float, cpu: float) -> float:
    """Prompts per second, printed and returned."""
    print(f"  {name:16s} {way:20s} {n_prompts / wall:8.2f} prompts/s {n_prompts / cpu:8.2f} prompts/CPU s", flush=True)
    return n_prompts / wall


def _as_loaded(model: Any) -> Any:
    """A copy that runs as lib.models.loading would have it."""
    loaded = copy.deepcopy(model)
    if loaded.config.model_type == "mamba":
        mamba_scan.choose_path(loaded, torch.device("cpu"))
    return loaded


def _check(
    large: Any, small: Any, our_large: Any, our_small: Any, prompts: np.ndarray, lower: list,
    theirs: dict[str, np.ndarray], found: dict[str, np.ndarray],
) -> None:  # fmt: skip
    """Our scores of their texts, their scores of ours, and both ways greedy."""
    given = Generated(list(prompts), list(theirs["ids"]), [], [])
    for name, model in (("large", our_large), ("small", our_small)):
        again = generated.by_ids(model, given, "all", NO_IDS, SCORING_BATCH).log_probs
        _check_close(f"their texts, {name}", -ragged.means(again), theirs[name])
    _check_close("lower", found["lower"], theirs["lower"])
    texts = np.concatenate([prompts, found["ids"]], axis=1)[:N_CHECKED].tolist()
    for name, model in (("large", large), ("small", small)):
        _check_close(f"our texts, {name}", found[name][:N_CHECKED], np.array([one_text(model, ids) for ids in texts]))
    _check_greedy(large, our_large, prompts[:N_CHECKED])


def _check_close(what: str, found: np.ndarray, wanted: np.ndarray) -> None:
    difference = np.abs(found / wanted - 1).max()
    if not difference < 1e-5:
        raise SystemExit(f"{what}: the log-perplexities differ by {difference:.1e} of themselves")


def _check_greedy(large: Any, our_large: Any, prompts: np.ndarray) -> None:
    batch = torch.tensor(prompts)
    wanted = large.generate(
        batch, attention_mask=torch.ones_like(batch), do_sample=False, max_new_tokens=CHECKED_TOKENS, pad_token_id=0
    )
    keys = np.arange(len(prompts))
    found = continue_prompts(our_large, prompts, prompts[:, :1], CHECKED_TOKENS, Decoding("greedy"), keys).ids
    same = (wanted[:, PROMPT:].numpy() == found).all(1)
    if same.mean() < 0.9:  # a tie to rounding may send a row another way
        raise SystemExit(f"only {same.mean():.0%} of the greedy texts are the same")


def main(n_prompts: int = N_PROMPTS) -> None:
    """Both architectures in both sizes."""
    threads = torch.get_num_threads()
    print(f"{n_prompts} prompts of {PROMPT} tokens, {CONTINUATION} generated, {CORES} cores")
    for name in PAIRS:
        print(f" {name}: {' and '.join(f'{model.num_parameters():,}' for model in models(name))} parameters")
        compare(name, n_prompts)
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main(int(os.environ.get("BENCH_PROMPTS", N_PROMPTS)))
