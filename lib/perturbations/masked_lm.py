"""Finds replacement candidates for each token of a canary by a masked language model.

A target token is masked as the text it stands for, its leading space included: the masked LM reads the text
before it, one mask, and the text after it. A prediction is again text, which the target's tokenizer spells in
one or more of its own ids.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Advance, unheard
from lib.perturbations.candidates import ReplacementCandidates
from lib.perturbations.pools import Pool, contexts, originals
from lib.tokens.tokenization import encode_all

logger = logging.getLogger(__name__)

# Heads that may be applied to the masked positions alone; of other models every position's logits are computed.
HEADS = {"roberta": "lm_head", "xlm-roberta": "lm_head", "camembert": "lm_head", "bert": "cls"}


def likely_candidates(
    tokens: np.ndarray,
    pool: Pool,
    target: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    top_k: int,
    batch_size: int,
    advance: Advance = unheard,
) -> ReplacementCandidates:
    """The `top_k` likeliest of a pool for each position, masked alone; the original is not among them.

    tokens: n x L target ids; model and tokenizer: the masked LM that the pool comes from; advance: called with
    the positions of every batch. Raises UsageError when the pool is smaller than `top_k` + 1.
    """
    if not 1 <= top_k < len(pool.sequences):
        raise UsageError(f"top_k is {top_k}; the masked LM has {len(pool.sequences)} usable tokens; lower top_k")
    original, replaceable = originals(tokens, pool, target)
    rows = np.flatnonzero(replaceable)
    masked = mask_each(tokens, replaceable, target, tokenizer, context_limit(model, tokenizer))
    if masked.cut:
        logger.warning("%d of %d masked inputs exceed what the masked LM reads: context cut", masked.cut, len(rows))
    advance(tokens.size - len(rows))  # positions that are never replaced
    best = predict(model, masked, pool.ids, original.ravel()[rows], top_k, batch_size, advance)
    options = [np.zeros(0, dtype=np.int64)] * tokens.size
    for row, choice in zip(rows, best):
        options[row] = choice
    return ReplacementCandidates(pool.sequences, options, original, replaceable)


@dataclass(frozen=True)
class Masked:
    """Masked LM inputs: `ids` of each, and the column of its mask; `cut` of them lost context to the model's limit."""

    ids: list[list[int]]
    columns: np.ndarray
    pad: int
    cut: int


def mask_each(
    tokens: np.ndarray,
    replaceable: np.ndarray,
    target: PreTrainedTokenizerBase,
    tokenizer: PreTrainedTokenizerBase,
    limit: int,
) -> Masked:
    """One input for each replaceable position, in row order, of at most `limit` ids."""
    mask = tokenizer.mask_token_id
    if mask is None:
        raise TesseraError("the masked LM's tokenizer has no mask token; give a masked language model (RoBERTa, BERT)")
    framed = tokenizer(tokenizer.mask_token)["input_ids"]  # with the special tokens that the model expects around it
    head, tail = framed[: framed.index(mask)], framed[framed.index(mask) + 1 :]
    room = limit - len(framed)
    before, after = zip(*contexts(tokens, replaceable, target)) if replaceable.any() else ((), ())
    parts = [fit(left, right, room) for left, right in zip(encode_all(tokenizer, before), encode_all(tokenizer, after))]
    return Masked(
        [[*head, *left, mask, *right, *tail] for left, right, _ in parts],
        np.array([len(head) + len(left) for left, _, _ in parts], dtype=np.int64),
        tokenizer.pad_token_id if tokenizer.pad_token_id is not None else mask,  # hidden by the attention mask
        sum(cut for _, _, cut in parts),
    )


def fit(left: list[int], right: list[int], room: int) -> tuple[list[int], list[int], bool]:
    """The ids next to the mask that fit into `room`: half on each side, more where the other side needs less."""
    keep_left = min(len(left), max(room // 2, room - len(right)))
    keep_right = min(len(right), room - keep_left)
    cut = keep_left < len(left) or keep_right < len(right)
    return left[len(left) - keep_left :], right[:keep_right], cut


@torch.inference_mode()
def predict(
    model: PreTrainedModel,
    masked: Masked,
    ids: np.ndarray,
    original: np.ndarray,
    top_k: int,
    batch_size: int,
    advance: Advance = unheard,
) -> np.ndarray:
    """The likeliest `top_k` of the vocabulary entries `ids` at each mask: int64 indices into `ids`, rows x top_k.

    original: for each row the index that is not to be chosen, or -1. Rows are batched by length.
    """
    best = np.zeros((len(masked.ids), top_k), dtype=np.int64)
    order = np.argsort([len(row) for row in masked.ids], kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        logits = _mask_logits(model, [masked.ids[row] for row in rows], masked.columns[rows], masked.pad)
        logits = logits[:, torch.from_numpy(ids).to(logits.device)].float()
        known = np.flatnonzero(original[rows] >= 0)
        logits[known, original[rows][known]] = -torch.inf
        best[rows] = logits.topk(top_k, dim=1).indices.cpu().numpy()
        advance(len(rows))
    return best


def context_limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many ids the model reads at once. RoBERTa's position table begins behind its padding index."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    offset = 0 if padding is None else padding + 1
    return min(tokenizer.model_max_length, model.config.max_position_embeddings - offset)


def _mask_logits(model: PreTrainedModel, rows: list[list[int]], columns: np.ndarray, pad: int) -> torch.Tensor:
    width = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=model.device)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    attention = torch.arange(width, device=model.device) < lengths[:, None]
    where = (torch.arange(len(rows)), torch.from_numpy(columns))
    head = HEADS.get(model.config.model_type)
    if head is None:
        return model(input_ids=ids, attention_mask=attention.long()).logits[where]
    hidden = model.base_model(input_ids=ids, attention_mask=attention.long()).last_hidden_state
    return getattr(model, head)(hidden[where])
