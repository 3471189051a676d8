"""Computes l, mu, sigma and the top from a causal model's hidden states, without ever holding all logits.

The backbone runs once over a batch; its hidden states are turned into logits by blocks of positions, and each block is
reduced at once, so that memory is bounded by the block and not by batch x length x vocabulary.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch

from lib.models import limits

logger = logging.getLogger(__name__)

BLOCK_VALUES = {"cpu": 1 << 20, "cuda": 1 << 27}  # logits of one block: what a processor's cache holds, or 0.5 GB
BLOCK_POSITIONS = 128  # but never fewer positions: each block reads the whole output matrix once
FULL_VALUES = 1 << 28  # logits at once (1 GiB in float32) for a model whose head cannot be split off

# l, mu, sigma and the largest ln p of the scored positions, row after row; all but l are None unless asked for.
Reduced = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]


def by_blocks(
    model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, moments: bool, cache: Any = None
) -> Reduced:
    """Score a batch whose head splits off.

    ids: (rows, length) int64, padded on the right; scored: (rows, length - 1) bool, which of the positions 1.. count;
    cache: the attention state of what came before (transformers' Cache of as many rows), which is changed.
    """
    hidden = _hidden(model, ids, cache)[:, :-1][scored]
    targets = ids[:, 1:][scored]
    logits = head(model)
    step = block_positions(model)
    blocks = [
        reduced(logits(hidden[start : start + step]).float(), targets[start : start + step], moments)
        for start in range(0, len(targets), step)
    ]
    return joined(blocks, moments)


def block_positions(model: torch.nn.Module) -> int:
    """How many positions have their logits at once."""
    device = model.get_input_embeddings().weight.device.type
    return max(BLOCK_POSITIONS, BLOCK_VALUES.get(device, BLOCK_VALUES["cpu"]) // limits.n_logits(model))


def over_full_logits(model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, moments: bool) -> Reduced:
    """The same for any causal model, a few rows at a time, so that their logits stay below FULL_VALUES."""
    rows = max(1, FULL_VALUES // (ids.shape[1] * limits.vocabulary(model)))
    blocks = []
    for part, chosen in zip(ids.split(rows), scored.split(rows)):
        logits = model(input_ids=part, use_cache=False).logits[:, :-1][chosen].float()
        blocks.append(reduced(logits, part[:, 1:][chosen], moments))
    return joined(blocks, moments)


def splits_off(model: torch.nn.Module, ids: torch.Tensor) -> bool:
    """Whether backbone and head, one after the other, give the model's own logits; tried on a few ids (1, length).

    Logs a warning if they do not (a scaled or otherwise unusual head).
    """
    if model.base_model is not model and model.get_output_embeddings() is not None:
        expected = model(input_ids=ids, use_cache=False).logits.float()
        hidden = _hidden(model, ids)
        plain = head(model, torch.nn.Module.__call__)  # the products of the model itself
        if hidden is not None and torch.allclose(plain(hidden).float(), expected, rtol=1e-5, atol=1e-5):
            return True
    logger.warning("%s has an unusual output head: scoring over full logits, with more memory", type(model).__name__)
    return False


def _hidden(model: torch.nn.Module, ids: torch.Tensor, cache: Any = None) -> Any:
    state = {"use_cache": False} if cache is None else {"use_cache": True, "past_key_values": cache}
    return getattr(model.base_model(input_ids=ids, **state), "last_hidden_state", None)


def unrounded(output: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """The product of hidden states (..., width) and the output matrix; on a GPU in float32 whatever their type.

    A GPU sums products of bfloat16 in float32 anyway. Rounded to bfloat16 the largest logits of many positions are
    equal, and greedy decoding would choose among them by their ids. On a CPU the product is of the model's own type.
    """
    if hidden.device.type == "cpu" or hidden.dtype == torch.float32 or type(output) is not torch.nn.Linear:
        return output(hidden)
    values = torch.mm(hidden.flatten(0, -2), output.weight.t(), out_dtype=torch.float32)
    values = values if output.bias is None else values.add_(output.bias)
    return values.view(*hidden.shape[:-1], -1)


def head(
    model: torch.nn.Module, product: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor] = unrounded
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Hidden states to logits; Gemma 2 caps its logits softly after the output matrix."""
    output = model.get_output_embeddings()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        values = product(output, hidden.to(output.weight.dtype))
        return values if cap is None else torch.tanh(values / cap) * cap

    return logits


def reduced(logits: torch.Tensor, targets: torch.Tensor, moments: bool) -> Reduced:
    """l, and mu, sigma and the largest ln p of the distribution, of one block of logits (positions, vocabulary).

    Deviations are taken from the target's own l: mu = l + sum_v p_v (ln p_v - l), which is exactly l for a
    uniform distribution, where sigma is exactly 0.
    """
    everything = logits.log_softmax(dim=1)
    chosen = everything.gather(1, targets[:, None])
    if not moments:
        return chosen[:, 0], None, None, None
    top = everything.amax(dim=1)
    probabilities = everything.exp()
    deviations = everything.sub_(chosen)
    shift = torch.linalg.vecdot(probabilities, deviations)
    variance = torch.linalg.vecdot(probabilities, deviations.sub_(shift[:, None]).square_())
    return chosen[:, 0], chosen[:, 0] + shift, variance.sqrt(), top


def joined(blocks: list[Reduced], moments: bool) -> Reduced:
    """The columns of several blocks, one after another."""
    log_probs, *others = zip(*blocks)
    mu, sigma, top = (torch.cat(column) if moments else None for column in others)
    return torch.cat(log_probs), mu, sigma, top
