"""Per-token log-probabilities of texts under a causal language model: one forward pass per text.

Texts go through the model sorted by length, padded on the right. A causal model never looks ahead, so padding on the
right changes no score and needs no attention mask, which holds for attention and for state-space models alike
(a recurrent state that has run over padding on the left has not).
"""

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from transformers.cache_utils import DynamicCache, DynamicLayer

from lib.base.progress import Advance, unheard
from lib.models import output_head
from lib.models.limits import positions, trained_length, vocabulary
from lib.models.output_head import Measures, Reduced

logger = logging.getLogger(__name__)

Rows = tuple[torch.Tensor | None, ...]  # the columns of `Reduced` for one text


@dataclass(frozen=True)
class TokenScores:
    """Rows of float32, one per text, over its scored tokens; all but log_probs are None unless asked for.

    top: the largest ln p(. | x_<t); the model predicts x_t itself exactly where it equals l_t. rank: how many ids are
    likelier than x_t (int32). top_k_mass: ln of the probability that top-k sampling draws from, ties with its last id
    included. likeliest: the id that is (int32), x_t itself where none is likelier.
    """

    log_probs: list[NDArray[np.float32]]
    mu: list[NDArray[np.float32]] | None = None
    sigma: list[NDArray[np.float32]] | None = None
    top: list[NDArray[np.float32]] | None = None
    rank: list[NDArray[np.int32]] | None = None
    top_k_mass: list[NDArray[np.float32]] | None = None
    likeliest: list[NDArray[np.int32]] | None = None


def score_tokens(
    model: torch.nn.Module,
    sequences: Iterable[ArrayLike],
    contexts: Sequence[ArrayLike] | None = None,
    batch_size: int = 32,
    moments: bool = False,
    advance: Advance = unheard,
    top_k: int = 0,
) -> TokenScores:
    """l_t = ln p(x_t | context, x_<t) of every text, and mu, sigma of ln p(. | context, x_<t) under p itself.

    moments: whether mu, sigma and top are computed; top_k: if above 0, top, rank, the mass of the k likeliest ids, and
    the likeliest.

    sequences: token ids of the texts (1-D integers, any lengths); contexts: ids that precede each text and are not
    scored themselves (a BOS token, a prefix). With a context every token of the text is scored, without one all but
    the first: a position counts when it and the one before it are real, `mask[:, 1:] & mask[:, :-1]`.
    The model is put in evaluation mode meanwhile. advance: called with the texts of every batch.

    Raises ValueError naming the row for ids beyond the vocabulary, a wrong type or shape, a text too short to be
    scored or too long for the model.
    """
    texts, skips = _joined(sequences, contexts)
    check_sequences(texts, vocabulary(model), positions(model))
    _warn_of_length(model, texts)
    results: list[Rows | None] = [None] * len(texts)
    measures = Measures(moments, top_k)
    with _evaluating(model), torch.no_grad():
        score = _scorer(model, texts, _common(contexts), measures)
        for rows in _batches(texts, batch_size):
            for row, result in zip(rows, score([texts[row] for row in rows], [skips[row] for row in rows])):
                results[row] = result
            advance(len(rows))
    return _collected(results, measures)


def check_sequences(sequences: Sequence[NDArray], vocabulary: int, longest: int | None = None) -> None:
    """Raise ValueError, naming the row, unless every sequence can be scored under such a model."""
    for row, ids in enumerate(sequences):
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"row {row}: token ids are 1-D integers, found {ids.dtype} of shape {ids.shape}")
        if len(ids) < 2:
            raise ValueError(f"row {row}: {len(ids)} tokens with its context; at least 2 are needed")
        if ids.min() < 0 or ids.max() >= vocabulary:
            wrong = ids[(ids < 0) | (ids >= vocabulary)][0]
            raise ValueError(f"row {row}: token id {wrong}, but the model's vocabulary has {vocabulary} ids")
        if longest is not None and len(ids) > longest:
            raise ValueError(f"row {row}: {len(ids)} tokens with its context, but the model takes {longest}")


def _joined(sequences: Iterable[ArrayLike], contexts: Sequence[ArrayLike] | None) -> tuple[list[NDArray], list[int]]:
    """Context and text as one sequence each, and how many of its tokens are not scored."""
    texts = [np.asarray(ids) for ids in sequences]
    if contexts is None:
        return texts, [1] * len(texts)
    if len(contexts) != len(texts):
        raise ValueError(f"{len(contexts)} contexts for {len(texts)} texts")
    if empty := [row for row, ids in enumerate(texts) if ids.size == 0]:
        raise ValueError(f"row {empty[0]}: an empty text")
    before = [np.asarray(context, dtype=text.dtype) for context, text in zip(contexts, texts)]
    return [np.concatenate(pair) for pair in zip(before, texts)], [max(1, len(context)) for context in before]


def _common(contexts: Sequence[ArrayLike] | None) -> NDArray[np.int64]:
    """The ids that every context begins with, whole contexts apart: empty unless all are equal and longer than one.

    The last id stays with the texts: what it predicts is scored.
    """
    if not contexts or any(not np.array_equal(context, contexts[0]) for context in contexts):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(contexts[0], dtype=np.int64)[:-1]


def _warn_of_length(model: torch.nn.Module, texts: Sequence[NDArray]) -> None:
    limit = trained_length(model)
    longest = max(map(len, texts), default=0)
    if limit is not None and longest > limit:
        logger.warning("texts have up to %d tokens, but %s was trained for %d", longest, type(model).__name__, limit)


def _batches(texts: Sequence[NDArray], batch_size: int) -> Iterator[list[int]]:
    """Rows sorted by length, longest first (a batch that does not fit in memory fails at once), in batches."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    order = sorted(range(len(texts)), key=lambda row: (-len(texts[row]), row))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def _scorer(
    model: torch.nn.Module, texts: Sequence[NDArray], common: NDArray[np.int64], measures: Measures
) -> Callable[[list[NDArray], list[int]], list[Rows]]:
    """The function that scores one batch; `common`, which every text begins with, is run only once where it can be."""
    device = model.get_input_embeddings().weight.device
    splits = bool(texts) and output_head.splits_off(model, _tensor(texts[0][:8]).to(device)[None])
    cache = _attention_state(model, _tensor(common).to(device)) if splits and len(common) else None
    known = len(common) if cache else 0

    def score(batch: list[NDArray], skips: list[int]) -> list[Rows]:
        ids, scored = (value.to(device) for value in _padded(batch, skips))
        if not splits:
            values = output_head.over_full_logits(model, ids, scored, measures)
        else:
            state = _repeated(cache, len(batch))
            values = output_head.by_blocks(model, ids[:, known:], scored[:, known:], measures, state)
        return _rows(values, scored.sum(dim=1).tolist())

    return score


def _padded(batch: list[NDArray], skips: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids (rows, length), padded on the right, and which of the positions 1.. are scored (rows, length - 1)."""
    lengths = torch.tensor([len(ids) for ids in batch])
    ids = torch.zeros(len(batch), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = _tensor(text)
    position = torch.arange(ids.shape[1])
    mask = position < lengths[:, None]
    return ids, mask[:, 1:] & mask[:, :-1] & (position[1:] >= torch.tensor(skips)[:, None])


def _tensor(ids: NDArray) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(ids, dtype=np.int64))


def _attention_state(model: torch.nn.Module, ids: torch.Tensor) -> DynamicCache | None:
    """Keys and values of `ids` (1-D), or None for a model whose state is anything else (windows, recurrence)."""
    output = model.base_model(input_ids=ids[None], use_cache=True)
    cache: Any = getattr(output, "past_key_values", None)
    if type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers):
        return cache
    return None


def _repeated(cache: DynamicCache | None, rows: int) -> Any:
    """A copy of the state for a batch, since a pass appends to what it is given."""
    if cache is None:
        return None
    state = copy.deepcopy(cache)
    state.batch_repeat_interleave(rows)
    return state


def _rows(values: Reduced, counts: list[int]) -> list[Rows]:
    columns = [value.cpu().split(counts) if value is not None else [None] * len(counts) for value in values]
    return list(zip(*columns))


def _collected(results: list[Rows | None], measures: Measures) -> TokenScores:
    ranked = measures.top_k > 0
    asked_for = (True, measures.moments, measures.moments, measures.moments or ranked, ranked, ranked, ranked)
    columns = list(zip(*results)) if results else [()] * len(asked_for)
    found: Any = ([row.numpy() for row in column] if asked else None for column, asked in zip(columns, asked_for))
    return TokenScores(*found)


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
