"""Continues prompts of equal length in batches, and computes how likely their true suffixes are.

One pass over prompt and suffix gives the likelihoods of both and the state that generation starts from (attention goes
back to the end of the prompt; a recurrent model reads the prompt once more). Then one id a step and row. The logits
that an id is drawn from also say how likely it was, so that no pass over the made text is needed for that.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lib.base.progress import Advance, unheard
from lib.generation import next_token, rows
from lib.generation.decode_loop import ENDED, grow
from lib.generation.decoder_state import DecoderState, rows_together
from lib.generation.decoding import Decoding
from lib.generation.rows import BatchSize
from lib.models import output_head
from lib.models.limits import positions, trained_length, vocabulary
from lib.models.token_scores import check_sequences

MOMENTS = output_head.Measures(moments=True)
ROWS = 128  # at once on a CPU, where nothing else is said

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Continued:
    """The continuations of n prompts, and scores.

    ids: int64 (n, C), an end id included, ENDED after it; suffix_nll: nats, summed over the suffix, under the model's
    own distribution, float64 (n,); suffix_log_p: ln of the suffix's probability under the decoding, float64 (n,).
    log_probs, mu, sigma: float32 (n, P + C), of every id of prompt and continuation as in lib.models.token_scores, NaN
    for the first id and after the end.
    """

    ids: NDArray[np.int64]
    suffix_nll: NDArray[np.float64]
    suffix_log_p: NDArray[np.float64]
    log_probs: NDArray[np.float32]
    mu: NDArray[np.float32]
    sigma: NDArray[np.float32]


def continue_prompts(
    model: torch.nn.Module,
    prompts: NDArray[np.integer],
    suffixes: NDArray[np.integer],
    n_tokens: int,
    how: Decoding,
    keys: NDArray[np.int64],
    ends: Sequence[int] = (),
    batch_size: BatchSize = 64,
    advance: Advance = unheard,
) -> Continued:
    """Continue every prompt by up to `n_tokens` ids, each row until an id of `ends`.

    prompts: (n, P); suffixes: (n, S), the true next ids; keys: (n,), the secret that all draws of a row come from;
    batch_size: rows at once; "auto": as many as a GPU has room for, ROWS on a CPU; advance: called with the prompts of
    every batch. On a CPU in float32 no result depends on batch size or batch mates, but for ties to rounding. On a GPU
    batches of other sizes are multiplied by other kernels, which round differently. Raises ValueError naming the row
    for ids beyond the model's vocabulary or more ids than it has positions for.
    """
    _check_matrices(prompts, suffixes)
    if not len(prompts) or not suffixes.shape[1] or n_tokens < 1 or batch_size == 0:
        raise ValueError(
            f"{len(prompts)} prompts, suffixes of {suffixes.shape[1]} ids, continuations of {n_tokens}, batches of "
            f"{batch_size}; each must be at least 1"
        )
    texts = np.concatenate([prompts, suffixes], axis=1).astype(np.int64)
    check_sequences(texts, vocabulary(model))
    room = prompts.shape[1] + max(n_tokens, suffixes.shape[1])
    _check_room(model, room)
    splits = _splits_off(model, texts)
    step = rows_together(model, rows.together(model, batch_size, len(texts), room, ROWS, splits))
    parts = []
    for low in range(0, len(texts), step):
        some = slice(low, low + step)
        parts.append(_batch(model, splits, texts[some], prompts.shape[1], n_tokens, how, keys[some], ends))
        advance(len(texts[some]))
    return Continued(*(np.concatenate(column) for column in zip(*parts)))


def _check_matrices(prompts: NDArray[np.integer], suffixes: NDArray[np.integer]) -> None:
    for name, ids in {"prompts": prompts, "suffixes": suffixes}.items():
        if np.ndim(ids) != 2:
            raise ValueError(f"{name}: found shape {np.shape(ids)}, not rows of ids; are all texts too short?")


def check_ids(model: torch.nn.Module, prompts: NDArray[np.integer], continuations: NDArray[np.integer]) -> None:
    """Raise ValueError naming the row for ids that the model's vocabulary lacks; ENDED stands for none."""
    everything = np.concatenate([prompts, np.where(continuations == ENDED, 0, continuations)], axis=1)
    check_sequences(everything, vocabulary(model))


def end_ids(model: torch.nn.Module, tokenizer: Any) -> list[int]:
    """The ids that end a text: those of the model's configuration, and the tokenizer's EOS."""
    settings = getattr(model, "generation_config", None) or model.config
    configured = settings.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return sorted({int(index) for index in [*several, tokenizer.eos_token_id] if index is not None})


def _check_room(model: torch.nn.Module, length: int) -> None:
    longest, trained = positions(model), trained_length(model)
    if longest is not None and length > longest:
        raise ValueError(f"prompt and continuation have {length} ids, but the model takes {longest}")
    if trained is not None and length > trained:
        logger.warning(
            "prompt and continuation have %d ids, but %s was trained for %d", length, type(model).__name__, trained
        )


@torch.inference_mode()
def _splits_off(model: torch.nn.Module, texts: NDArray[np.int64]) -> bool:
    return output_head.splits_off(model, torch.from_numpy(texts[:1, :8]).to(_device(model)))


def _device(model: torch.nn.Module) -> torch.device:
    return model.get_input_embeddings().weight.device


@torch.inference_mode()
def _batch(
    model: torch.nn.Module,
    splits: bool,
    texts: NDArray[np.int64],
    n_prompt: int,
    n_tokens: int,
    how: Decoding,
    keys: NDArray[np.int64],
    ends: Sequence[int],
) -> tuple[NDArray, ...]:
    """The columns of `Continued`."""
    ids = torch.from_numpy(texts).to(_device(model))
    n_suffix = ids.shape[1] - n_prompt
    state = DecoderState(model, n_prompt + max(n_tokens, n_suffix), splits)
    everywhere = state.read(ids[:, :-1], keep=ids.shape[1] - 1)
    predicting = everywhere[:, n_prompt - 1 :]
    nll, log_p = _suffix_scores(state.logits, predicting, ids[:, n_prompt:], how, _block_rows(model, n_suffix))
    block = output_head.block_positions(model)
    before = _prompt_scores(state.logits, everywhere[:, : n_prompt - 1], ids[:, 1:n_prompt], block)
    if state.can_forget:
        state.forget(n_suffix - 1)
        first = state.logits(predicting[:, 0])
    else:
        state = DecoderState(model, n_prompt + n_tokens, splits)
        first = state.logits(state.read(ids[:, :n_prompt])[:, -1])
    made, after = _continue(state, first, n_tokens, how, torch.from_numpy(keys).to(ids.device), ends)
    ended = torch.from_numpy(made == ENDED).to(ids.device)
    unscored = torch.full_like(after[..., :1], torch.nan)  # nothing comes before the first id
    scores = torch.cat([unscored, before, after.masked_fill_(ended, torch.nan)], dim=-1)
    return made, nll, log_p, *scores.cpu().numpy()


def _block_rows(model: torch.nn.Module, n_suffix: int) -> int:
    """How many rows have the logits of their suffix at once."""
    return max(1, output_head.block_positions(model) // n_suffix)


def _suffix_scores(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    predicting: torch.Tensor,
    suffixes: torch.Tensor,
    how: Decoding,
    block_rows: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NLL and ln p under the decoding of every suffix, a few rows of logits at a time."""
    nll, log_p = [], []
    for states, targets in zip(predicting.split(block_rows), suffixes.split(block_rows)):
        logits, flat = logits_of(states).flatten(0, 1), targets.flatten()
        picked = next_token.log_probs(logits, flat, how)
        own = logits.log_softmax(1).gather(1, flat[:, None])
        nll.append(-own.view(targets.shape).double().sum(1))
        log_p.append(picked.view(targets.shape).double().sum(1))
    return torch.cat(nll).cpu().numpy(), torch.cat(log_p).cpu().numpy()


def _prompt_scores(
    logits_of: Callable[[torch.Tensor], torch.Tensor], predicting: torch.Tensor, targets: torch.Tensor, block: int
) -> torch.Tensor:
    """l, mu and sigma of every target, (3, rows, length), a few positions of logits at a time."""
    blocks = [
        torch.stack(output_head.reduced(logits_of(states), ids, MOMENTS)[:3])
        for states, ids in zip(predicting.flatten(0, 1).split(block), targets.flatten().split(block))
    ]
    return torch.cat(blocks, dim=1).view(3, *targets.shape)


def _continue(
    state: DecoderState,
    logits: torch.Tensor,
    n_tokens: int,
    how: Decoding,
    keys: torch.Tensor,
    ends: Sequence[int],
) -> tuple[NDArray[np.int64], torch.Tensor]:
    """The ids of every row, (rows, n_tokens), and l, mu and sigma of each, (3, rows, n_tokens)."""
    scores = torch.full((3, len(logits), n_tokens), torch.nan, device=logits.device)
    stops = torch.tensor(list(ends), dtype=torch.long, device=logits.device)

    def ended(made: torch.Tensor) -> torch.Tensor:
        return torch.isin(made, stops).any(1)

    def score(these: torch.Tensor, step: int, logits: torch.Tensor, ids: torch.Tensor) -> None:
        scores[:, these, step] = torch.stack(output_head.reduced(logits, ids, MOMENTS)[:3])

    made = grow(state, logits, n_tokens, how, keys, ended, observe=score)
    return _cut(made.cpu().numpy(), ends), scores


def _cut(made: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.int64]:
    """ENDED in place of what a row went on with between its end and the next look at it."""
    ended = np.isin(made, list(ends))
    before: NDArray[np.int64] = np.cumsum(ended, axis=1) - ended
    return np.where(before > 0, ENDED, made)
