"""Samples from a causal language model in batches, with one random stream per sequence.

The next token is the winner of an exponential race: argmax_v p_v / E_v with E_v ~ Exp(1) is distributed as p
(the Gumbel-max trick without the logarithms). Unlike an inverse distribution function, it changes its winner
only when the two fastest tie up to rounding, so the batch of a sequence hardly ever changes its text.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.base.errors import UsageError
from lib.generation.largest import largest
from lib.models.limits import n_logits
from lib.tokens.tokenization import special_ids

CHECK_EVERY = 8  # ids between two looks at whether a row has enough


def suppressed_ids(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> np.ndarray:
    """Ids never to sample, int64, sorted: special tokens, and output rows beyond the tokenizer's vocabulary."""
    return np.array(sorted(special_ids(tokenizer) | set(range(len(tokenizer), vocab_size))), dtype=np.int64)


def start_id(tokenizer: PreTrainedTokenizerBase, token: str | None) -> int:
    """The id that sampling starts from: `token`, or the BOS. Raises UsageError when the tokenizer lacks it."""
    index = tokenizer.bos_token_id if token is None else tokenizer.get_vocab().get(token)
    if index is None:
        raise UsageError(f"start_token {token!r} is not a token of the reference model; name one, like '<|endoftext|>'")
    return index


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    start: Sequence[int],
    n_tokens: int,
    streams: Sequence[np.random.Generator],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    suppress: Sequence[int] = (),
    enough: Callable[[list[int]], bool] | None = None,
) -> list[list[int]]:
    """Sample up to `n_tokens` ids after `start`, one row for each stream.

    start: at least one id, the same for all rows; temperature > 0; top_k: keep the k likeliest ids (0: all);
    top_p: keep the smallest set of likeliest ids that holds this mass (1: all); suppress: ids never drawn;
    enough: asked every CHECK_EVERY ids whether a row may end there (its batch goes on without it).
    Row i uses V draws of streams[i] a token and nothing else. Raises UsageError for settings out of range.
    """
    _check(start, temperature, top_k, top_p)
    rows: list[list[int]] = [[] for _ in streams]
    alive = np.arange(len(streams))
    tokens, cache = torch.tensor([list(start)] * len(streams), device=model.device), None
    noise = np.empty((len(streams), n_logits(model)))
    for step in range(1, n_tokens + 1):
        logits, cache = _next_logits(model, tokens, cache)
        logits[:, list(suppress)] = -torch.inf
        clocks = _draw([streams[row] for row in alive], noise[: len(alive)])
        tokens = race(truncate(logits.div_(temperature), top_k, top_p), clocks)[:, None]
        for row, token in zip(alive, tokens[:, 0].tolist()):
            rows[row].append(token)
        if enough and step % CHECK_EVERY == 0:
            going = [place for place, row in enumerate(alive) if not enough(rows[row])]
            if not going:
                break
            alive, tokens = alive[going], _keep(tokens, cache, going)
    return rows


def truncate(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Set to -inf what top-k, then nucleus sampling leave out. logits: rows x V; ties at the cut stay in."""
    if 0 < top_k < logits.shape[1]:
        cut = largest(logits, top_k)[0][:, -1:]
        logits = logits.masked_fill(logits < cut, -torch.inf)
    if top_p < 1:
        ordered = logits.sort(descending=True).values
        mass = ordered.softmax(1).cumsum(1)
        last = (mass < top_p).sum(1, keepdim=True).clamp_(max=logits.shape[1] - 1)  # the id that reaches the mass stays
        logits = logits.masked_fill(logits < ordered.gather(1, last), -torch.inf)
    return logits


def race(logits: torch.Tensor, exponentials: np.ndarray) -> torch.Tensor:
    """The id with the largest exp(logit) / E of each row: int64, rows. Both arguments are rows x V."""
    weights = (logits - logits.amax(1, keepdim=True)).exp_()
    clocks = torch.from_numpy(exponentials).to(weights.device, weights.dtype)
    return weights.div_(clocks.clamp_(min=torch.finfo(weights.dtype).tiny)).argmax(1)  # 0/0 would win as NaN


def _next_logits(model: PreTrainedModel, tokens: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
    """Float32 logits of the next token (rows x V) and the state to go on from."""
    name = "cache_params" if hasattr(model.config, "state_size") else "past_key_values"  # state-space models
    output = model(input_ids=tokens, use_cache=True, logits_to_keep=1, **{name: cache})
    return output.logits[:, -1].float(), output[name]


def _keep(tokens: torch.Tensor, cache: Any, places: list[int]) -> torch.Tensor:
    """Go on with these rows of the batch only: their last tokens; the cache is changed in place."""
    if len(places) == len(tokens):
        return tokens
    chosen = torch.tensor(places, device=tokens.device)
    cache.reorder_cache(chosen)  # what beam search selects rows with; attention and state-space caches have it
    return tokens[chosen]


def _draw(streams: Sequence[np.random.Generator], noise: np.ndarray) -> np.ndarray:
    for stream, row in zip(streams, noise):
        stream.standard_exponential(out=row)  # float64: float32 is too coarse for a vocabulary's tail
    return noise


def _check(start: Sequence[int], temperature: float, top_k: int, top_p: float) -> None:
    if not len(start):
        raise UsageError("sampling needs at least one start id; set start_token to a token of the reference model")
    if not (temperature > 0 and top_k >= 0 and 0 < top_p <= 1):
        raise UsageError(
            f"temperature is {temperature}, top_k {top_k} and top_p {top_p}; temperature must be above 0, top_k at "
            "least 0, and top_p above 0 and at most 1"
        )
