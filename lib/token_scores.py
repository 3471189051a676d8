"""Per-token log-probabilities of texts under a causal language model: one forward pass per text.

Texts go through the model sorted by length, padded on the right. A causal model never looks ahead, so padding on the
right changes no score and needs no attention mask, which holds for attention and for state-space models alike
(a recurrent state that has run over padding on the left has not). The backbone's hidden states are turned into
logits by blocks of positions and reduced at once, so that memory is bounded by the block, not by
batch x length x vocabulary.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

logger = logging.getLogger(__name__)

BLOCK_VALUES = 1 << 20  # logits of one block: small enough for a processor's cache
BLOCK_POSITIONS = 128  # but never fewer positions: each block reads the whole output matrix once
FULL_VALUES = 1 << 28  # logits at once (1 GiB in float32) for a model whose head cannot be split off

Reduced = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]


@dataclass(frozen=True)
class TokenScores:
    """Rows of float32, one per text, over its scored tokens; mu and sigma are None unless moments were asked for."""

    log_probs: list[NDArray[np.float32]]
    mu: list[NDArray[np.float32]] | None = None
    sigma: list[NDArray[np.float32]] | None = None


def score_tokens(
    model: torch.nn.Module,
    sequences: Sequence[ArrayLike],
    contexts: Sequence[ArrayLike] | None = None,
    batch_size: int = 32,
    moments: bool = False,
) -> TokenScores:
    """l_t = ln p(x_t | context, x_<t) of every text, and mu, sigma of ln p(. | context, x_<t) under p itself.

    sequences: token ids of the texts (1-D integers, any lengths); contexts: ids that precede each text and are not
    scored themselves (a BOS token, a prefix). With a context every token of the text is scored, without one all but
    the first: a position counts when it and the one before it are real, `mask[:, 1:] & mask[:, :-1]`.
    The model is put in evaluation mode meanwhile.

    Raises ValueError naming the row for ids beyond the vocabulary, a wrong type or shape, a text too short to be
    scored or too long for the model.
    """
    texts, skips = _joined(sequences, contexts)
    check_sequences(texts, vocabulary(model), positions(model))
    _warn_of_length(model, texts)
    results: list[Reduced | None] = [None] * len(texts)
    with _evaluating(model), torch.no_grad():
        reduce = _reducer(model, texts, moments)
        for rows in _batches(texts, batch_size):
            for row, result in zip(rows, reduce([texts[row] for row in rows], [skips[row] for row in rows])):
                results[row] = result
    return _collected(results, moments)


def unpad(ids: NDArray[np.integer], mask: NDArray) -> list[NDArray[np.integer]]:
    """The sequences inside a padded batch, whichever side the padding is on.

    ids, mask: shape (n, length), mask 1 for real tokens. Raises ValueError for a row whose tokens are not contiguous.
    """
    mask = np.asarray(mask).astype(bool)
    for row, real in enumerate(mask):
        if np.count_nonzero(np.diff(np.flatnonzero(real)) != 1):
            raise ValueError(f"row {row}: padding inside the text")
    return [np.asarray(row)[real] for row, real in zip(ids, mask, strict=True)]


def vocabulary(model: torch.nn.Module) -> int:
    """How many ids the model has an embedding for."""
    return model.get_input_embeddings().weight.shape[0]


def positions(model: torch.nn.Module) -> int | None:
    """The longest sequence the model can take: its table of learned positions; None for one without such a table.

    Rotary and recurrent models run beyond the length that they were trained for, and `score_tokens` warns of it.
    """
    learned = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding) and module is not model.get_input_embeddings()
    ]
    return trained_length(model) if learned else None


def trained_length(model: torch.nn.Module) -> int | None:
    """The length of text that the model was made for; None when its configuration names none."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def check_sequences(sequences: Sequence[NDArray], vocabulary: int, longest: int | None = None) -> None:
    """Raise ValueError, naming the row, unless every sequence can be scored under such a model."""
    for row, ids in enumerate(sequences):
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"row {row}: token ids are 1-D integers, found {ids.dtype} of shape {ids.shape}")
        if len(ids) < 2:
            raise ValueError(f"row {row}: {len(ids)} tokens with its context; nothing to predict")
        if ids.min() < 0 or ids.max() >= vocabulary:
            wrong = ids[(ids < 0) | (ids >= vocabulary)][0]
            raise ValueError(f"row {row}: token id {wrong}, but the model's vocabulary has {vocabulary} ids")
        if longest is not None and len(ids) > longest:
            raise ValueError(f"row {row}: {len(ids)} tokens with its context, but the model takes {longest}")


def _joined(sequences: Sequence[ArrayLike], contexts: Sequence[ArrayLike] | None) -> tuple[list[NDArray], list[int]]:
    """Context and text as one sequence each, and how many of its tokens are not scored."""
    texts = [np.asarray(ids) for ids in sequences]
    if contexts is None:
        return texts, [1] * len(texts)
    if len(contexts) != len(texts):
        raise ValueError(f"{len(contexts)} contexts for {len(texts)} texts")
    if empty := [row for row, ids in enumerate(texts) if ids.size == 0]:
        raise ValueError(f"row {empty[0]}: an empty text")
    before = [np.asarray(ids, dtype=ids_of.dtype) for ids, ids_of in zip(contexts, texts)]
    return [np.concatenate(pair) for pair in zip(before, texts)], [max(1, len(ids)) for ids in before]


def _warn_of_length(model: torch.nn.Module, texts: Sequence[NDArray]) -> None:
    limit = trained_length(model)
    longest = max(map(len, texts), default=0)
    if limit is not None and longest > limit:
        logger.warning("texts of up to %d tokens, but %s was made for %d", longest, type(model).__name__, limit)


def _batches(texts: Sequence[NDArray], batch_size: int) -> Iterator[list[int]]:
    """Rows sorted by length, longest first (a batch that does not fit in memory fails at once), in batches."""
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size}: at least 1 is wanted")
    order = sorted(range(len(texts)), key=lambda row: (-len(texts[row]), row))
    return (order[start : start + batch_size] for start in range(0, len(order), batch_size))


def _reducer(
    model: torch.nn.Module, texts: Sequence[NDArray], moments: bool
) -> Callable[[list[NDArray], list[int]], list[Reduced]]:
    """The function that scores one batch: by blocks of positions, or over full logits where it must."""
    device = model.get_input_embeddings().weight.device
    by_blocks = bool(texts) and _head_splits_off(model, torch.as_tensor(_wide(texts[0][:8]), device=device)[None])

    def reduce(batch: list[NDArray], skips: list[int]) -> list[Reduced]:
        ids, scored = _padded(batch, skips)
        run = _by_blocks if by_blocks else _over_full_logits
        values = run(model, ids.to(device), scored.to(device), moments)
        counts = scored.sum(dim=1).tolist()
        columns = [value.cpu().split(counts) if value is not None else [None] * len(counts) for value in values]
        return list(zip(*columns))

    return reduce


def _padded(batch: list[NDArray], skips: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids (rows, length), padded on the right, and which of the positions 1.. are scored (rows, length - 1)."""
    lengths = torch.tensor([len(ids) for ids in batch])
    ids = torch.zeros(len(batch), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = torch.as_tensor(_wide(text))
    position = torch.arange(ids.shape[1])
    mask = position < lengths[:, None]
    return ids, mask[:, 1:] & mask[:, :-1] & (position[1:] >= torch.tensor(skips)[:, None])


def _wide(ids: NDArray) -> NDArray[np.int64]:
    return np.ascontiguousarray(ids, dtype=np.int64)


def _by_blocks(model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, moments: bool) -> Reduced:
    hidden = _hidden(model, ids)[:, :-1][scored]
    targets = ids[:, 1:][scored]
    head = _head(model)
    step = max(BLOCK_POSITIONS, BLOCK_VALUES // vocabulary(model))
    blocks = [
        _reduced(head(hidden[start : start + step]).float(), targets[start : start + step], moments)
        for start in range(0, len(targets), step)
    ]
    return _joined_blocks(blocks, moments)


def _over_full_logits(model: torch.nn.Module, ids: torch.Tensor, scored: torch.Tensor, moments: bool) -> Reduced:
    rows = max(1, FULL_VALUES // (ids.shape[1] * vocabulary(model)))
    blocks = []
    for part, chosen in zip(ids.split(rows), scored.split(rows)):
        logits = model(input_ids=part, use_cache=False).logits[:, :-1][chosen].float()
        blocks.append(_reduced(logits, part[:, 1:][chosen], moments))
    return _joined_blocks(blocks, moments)


def _joined_blocks(blocks: list[Reduced], moments: bool) -> Reduced:
    columns = list(zip(*blocks))
    return tuple(torch.cat(column) if moments or not number else None for number, column in enumerate(columns))


def _reduced(logits: torch.Tensor, targets: torch.Tensor, moments: bool) -> Reduced:
    """l, and mu, sigma of the distribution, of one block of logits (positions, vocabulary).

    Deviations are taken from the target's own l: mu = l + sum_v p_v (ln p_v - l), which is exactly l for a
    uniform distribution, where sigma is exactly 0.
    """
    everything = logits.log_softmax(dim=1)
    chosen = everything.gather(1, targets[:, None])
    if not moments:
        return chosen[:, 0], None, None
    probabilities = everything.exp()
    deviations = everything.sub_(chosen)
    shift = torch.linalg.vecdot(probabilities, deviations)
    variance = torch.linalg.vecdot(probabilities, deviations.sub_(shift[:, None]).square_())
    return chosen[:, 0], chosen[:, 0] + shift, variance.sqrt()


def _hidden(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    return model.base_model(input_ids=ids, use_cache=False).last_hidden_state


def _head(model: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Hidden states to logits; Gemma caps its logits softly after the output matrix."""
    output = model.get_output_embeddings()
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        values = output(hidden.to(output.weight.dtype))
        return values if cap is None else torch.tanh(values / cap) * cap

    return logits


def _head_splits_off(model: torch.nn.Module, ids: torch.Tensor) -> bool:
    """Whether backbone and output matrix, one after the other, give the model's own logits; tried on a few ids."""
    if model.base_model is not model and model.get_output_embeddings() is not None:
        expected = model(input_ids=ids, use_cache=False).logits.float()
        found = _head(model)(_hidden(model, ids)).float()
        if torch.allclose(found, expected, rtol=1e-5, atol=1e-5):
            return True
    logger.warning("%s has an unusual output head: scoring over full logits, with more memory", type(model).__name__)
    return False


def _collected(results: list[Reduced | None], moments: bool) -> TokenScores:
    columns = [[row.numpy() for row in column] for column in zip(*results) if column[0] is not None]
    if not columns:
        return TokenScores([], [], []) if moments else TokenScores([])
    return TokenScores(*columns)


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
