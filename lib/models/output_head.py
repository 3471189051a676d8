"""Computes l, mu, sigma and the top from a causal model's hidden states, without ever holding all logits.

The backbone runs once over a batch; its hidden states are turned into logits by blocks of positions, and each block is
reduced at once, so that memory is bounded by the block and not by batch x length x vocabulary.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lib.kernels.largest import largest
from lib.models import limits

logger = logging.getLogger(__name__)

BLOCK_VALUES = {"cpu": 1 << 20, "cuda": 1 << 27}  # logits of one block: what a processor's cache holds, or 0.5 GB
BLOCK_POSITIONS = 128  # but never fewer positions: each block reads the whole output matrix once
FULL_VALUES = 1 << 28  # logits at once (1 GiB in float32) for a model whose head cannot be split off


class Reduced(NamedTuple):
    """One number for each scored position, row after row; all but log_probs are None unless asked for.

    log_probs: l; mu, sigma: of ln p under p itself; top: the largest ln p; rank: how many ids are likelier; top_k_mass:
    ln of the probability of the k likeliest ids together, with those that tie with the last of them; likeliest: the id
    with the largest ln p, the target itself where none is likelier.
    """

    log_probs: torch.Tensor
    mu: torch.Tensor | None = None
    sigma: torch.Tensor | None = None
    top: torch.Tensor | None = None
    rank: torch.Tensor | None = None
    top_k_mass: torch.Tensor | None = None
    likeliest: torch.Tensor | None = None


@dataclass(frozen=True)
class Measures:
    """What to compute beside l. moments: mu, sigma and top; top_k: if above 0, top, rank, the mass of so many,
    and the likeliest."""

    moments: bool = False
    top_k: int = 0


def by_blocks(
    model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, measures: Measures, cache: Any = None
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
        reduced(logits(hidden[start : start + step]).float(), targets[start : start + step], measures)
        for start in range(0, len(targets), step)
    ]
    return joined(blocks)


def block_positions(model: torch.nn.Module) -> int:
    """How many positions have their logits at once."""
    device = model.get_input_embeddings().weight.device.type
    return max(BLOCK_POSITIONS, BLOCK_VALUES.get(device, BLOCK_VALUES["cpu"]) // limits.n_logits(model))


def over_full_logits(model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, measures: Measures) -> Reduced:
    """The same for any causal model, a few rows at a time, so that their logits stay below FULL_VALUES."""
    rows = max(1, FULL_VALUES // (ids.shape[1] * limits.vocabulary(model)))
    blocks = []
    for part, chosen in zip(ids.split(rows), scored.split(rows)):
        logits = model(input_ids=part, use_cache=False).logits[:, :-1][chosen].float()
        blocks.append(reduced(logits, part[:, 1:][chosen], measures))
    return joined(blocks)


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


def reduced(logits: torch.Tensor, targets: torch.Tensor, measures: Measures) -> Reduced:
    """l, and what `measures` asks for, of one block of logits (positions, vocabulary)."""
    everything = logits.log_softmax(dim=1)
    chosen = everything.gather(1, targets[:, None])
    top = everything.amax(dim=1) if measures.moments or measures.top_k else None
    ranked = _ranked(everything, chosen, targets, measures.top_k) if measures.top_k else (None, None, None)
    mu, sigma = _moments(everything, chosen) if measures.moments else (None, None)  # the last: it writes over its input
    return Reduced(chosen[:, 0], mu, sigma, top, *ranked)


def _moments(everything: torch.Tensor, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """mu and sigma of ln p.

    Deviations are taken from the target's own l: mu = l + sum_v p_v (ln p_v - l), which is exactly l for a
    uniform distribution, where sigma is exactly 0.
    """
    probabilities = everything.exp()
    deviations = everything.sub_(chosen)
    shift = torch.linalg.vecdot(probabilities, deviations)
    variance = torch.linalg.vecdot(probabilities, deviations.sub_(shift[:, None]).square_())
    return chosen[:, 0] + shift, variance.sqrt()


def _ranked(
    everything: torch.Tensor, chosen: torch.Tensor, targets: torch.Tensor, top_k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How many ids are likelier than the target (int32), ln of the mass that top-k sampling draws from, the likeliest
    id (int32)."""
    rank = (everything > chosen).sum(dim=1, dtype=torch.int32)
    whole = top_k >= everything.shape[1]
    values, places = largest(everything, 1 if whole else top_k)
    likeliest = torch.where(rank > 0, places[:, 0], targets).int()
    if whole:
        return rank, torch.zeros_like(chosen[:, 0]), likeliest
    last = values[:, -1]
    ties = (everything >= last[:, None]).sum(dim=1) - top_k  # beyond the k, which sampling draws as well
    return rank, values.logsumexp(dim=1).logaddexp(last + ties.log()).clamp(max=0), likeliest


def joined(blocks: list[Reduced]) -> Reduced:
    """The columns of several blocks, one after another."""
    return Reduced(*(None if column[0] is None else torch.cat(column) for column in zip(*blocks)))
