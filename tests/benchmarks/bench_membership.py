"""Membership scoring against the loop that published code runs: one text at a time, one pass for every score.

python -m tests.benchmarks.bench_membership

GPT-NeoX models with random weights, of the smoke and of the laptop profile's size, and a smaller reference; 200 texts
of 100 tokens. Both sides compute every score of lib.attacks and have to agree within 1e-5. Beside it stands the
plainer question: l alone, one pass per text against the same texts in batches.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from lib.attacks import scores
from lib.base import ragged
from lib.models.token_scores import score_tokens

N_TEXTS, N_TOKENS, VOCABULARY, BOS, BATCH_SIZE, REPEATS = 200, 100, 2048, 0, 32, 2
Ids = list[list[int]]


def small_model(width: int, layers: int) -> GPTNeoXForCausalLM:
    """A GPT-NeoX with random weights."""
    torch.manual_seed(width)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * width, max_position_embeddings=256, initializer_range=0.1,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config).eval()


@torch.no_grad()
def one_pass(model: GPTNeoXForCausalLM, ids: list[int], context: list[int]) -> dict[str, np.ndarray]:
    """l, mu and sigma of one text as published code of min-k++ has them: log-softmax over everything, then gather."""
    everything = torch.tensor([[*context, *ids]])
    log_p = torch.log_softmax(model(everything).logits[0, :-1], dim=-1)[len(context) - 1 :]
    p = torch.exp(log_p)
    mu = (p * log_p).sum(-1)
    sigma = torch.sqrt((p * (log_p - mu[:, None]).square()).sum(-1))
    l_t = log_p.gather(1, everything[0, len(context) :, None])[:, 0]
    return {"log_probs": l_t.numpy(), "mu": mu.numpy(), "sigma": sigma.numpy()}


@torch.no_grad()
def plain_pass(model: GPTNeoXForCausalLM, ids: list[int], context: list[int]) -> np.ndarray:
    """l of one text by cross-entropy."""
    everything = torch.tensor([[*context, *ids]])
    logits = model(everything).logits[0, len(context) - 1 : -1]
    return -torch.nn.functional.cross_entropy(logits, everything[0, len(context) :], reduction="none").numpy()


def published_loop(target, reference, ids: Ids, lower: Ids, prefix: list[int], texts: list[str]) -> dict[str, Any]:
    """Every score by passes of its own, text by text."""
    found: dict[str, list[float]] = {name: [] for name in scores.estimators()}
    for x, low, text in zip(ids, lower, texts):
        for name, estimator in scores.estimators().items():
            if name.endswith("_paper") or name == "zlib_bits":
                continue  # a variant costs its attack no pass of its own
            needed = scores.needs(estimator)
            given: dict[str, Any] = {"texts": [text]}
            if "mu" in needed:
                given |= {key: [row] for key, row in one_pass(target, x, [BOS]).items()}
            else:
                given["log_probs"] = [plain_pass(target, x, [BOS])]
            if "lower_log_probs" in needed:
                given["lower_log_probs"] = [plain_pass(target, low, [BOS])]
            if "prefixed_log_probs" in needed:
                given["prefixed_log_probs"] = [plain_pass(target, x, [BOS, *prefix])]
            if "reference_means" in needed:
                given["reference_means"] = ragged.means([plain_pass(reference, x, [BOS])])
            found[name].append(float(estimator(**{key: given[key] for key in needed})[0]))
    return {name: np.array(values) for name, values in found.items() if values}


def one_pass_per_text_and_model(
    target, reference, ids: Ids, lower: Ids, prefix: list[int], texts: list[str]
) -> dict[str, Any]:
    """Every score, as the stage membership computes them."""
    first, prefixed = [[BOS]] * len(ids), [[BOS, *prefix]] * len(ids)
    scores = score_tokens(target, ids, first, BATCH_SIZE, moments=True)
    evidence = {
        "log_probs": scores.log_probs,
        "mu": scores.mu,
        "sigma": scores.sigma,
        "texts": texts,
        "lower_log_probs": score_tokens(target, lower, first, BATCH_SIZE).log_probs,
        "prefixed_log_probs": score_tokens(target, ids, prefixed, BATCH_SIZE).log_probs,
        "reference_means": ragged.means(score_tokens(reference, ids, first, BATCH_SIZE).log_probs),
    }
    return scores.compute(evidence)


def fastest(rivals: dict[str, Callable[[], Any]], repeats: int = REPEATS) -> tuple[dict[str, float], dict[str, Any]]:
    """The shortest wall time of each rival, taken in turns, and what it returned."""
    seconds, results = dict.fromkeys(rivals, float("inf")), {}
    for _ in range(repeats):
        for name, rival in rivals.items():
            started = time.perf_counter()
            results[name] = rival()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds, results


def report(title: str, seconds: dict[str, float], difference: float) -> None:
    """Tokens per second side by side, the last rival's time being 1 x. Exits when the results differ."""
    slowest = list(seconds.values())[-1]
    print(f" {title} (largest difference {difference:.0e})")
    for name, value in seconds.items():
        print(f"  {name:34s} {N_TEXTS * N_TOKENS / value:10,.0f} tokens/s {value:8.2f} s {slowest / value:6.2f} x")
    if difference > 1e-5:
        raise SystemExit(f"{title}: the results differ by {difference}")


def largest_difference(left: Iterable[np.ndarray], right: Iterable[np.ndarray]) -> float:
    """The largest absolute difference between two lists of arrays."""
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


def compare(target, reference, repeats: int) -> None:
    """Both comparisons for one target model. Exits when the two sides do not agree."""
    generator = np.random.default_rng(0)
    ids = generator.integers(1, VOCABULARY, (N_TEXTS, N_TOKENS)).tolist()
    lower = [generator.integers(1, VOCABULARY, generator.integers(100, 120)).tolist() for _ in ids]
    texts = ["".join(map(chr, generator.integers(65, 91, 300))) for _ in ids]
    inputs = (target, reference, ids, lower, ids[0], texts)

    rivals = {
        "one pass per text and model": one_pass_per_text_and_model,
        "one text, one score at a time": published_loop,
    }
    seconds, scores = fastest({name: lambda f=f: f(*inputs) for name, f in rivals.items()}, repeats)
    ours, naive = scores.values()
    report("every score", seconds, largest_difference([ours[name] for name in naive], naive.values()))

    plain = {
        "in batches": lambda: score_tokens(target, ids, [[BOS]] * N_TEXTS, BATCH_SIZE).log_probs,
        "one plain pass per text": lambda: [plain_pass(target, row, [BOS]) for row in ids],
    }
    seconds, rows = fastest(plain, repeats)
    report("l alone", seconds, largest_difference(*rows.values()))


def main(repeats: int = REPEATS) -> None:
    """Compare for both sizes."""
    for width, layers in ((64, 2), (128, 4)):
        target = small_model(width, layers)
        size = f"GPT-NeoX of {target.num_parameters():,} parameters, {torch.get_num_threads()} threads"
        print(f"{N_TEXTS} texts x {N_TOKENS} tokens, {size}")
        compare(target, small_model(width // 2, layers), repeats)


if __name__ == "__main__":
    main()
