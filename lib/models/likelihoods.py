"""The forward passes behind the membership scores: one per text and model.

Under the target, BOS is treated as in training: every text begins with the tokenizer's BOS if it has one, and only then
is the first token of a text scored.

`padding` is the token with which published code pads the texts of a batch on the right, the tokenizer's EOS. That code
scores all texts of a side (members or non-members) in one batch, and counts the first padding token of every text that
is shorter than the longest of them as a token of that text. So its log-probability is scored here for these texts, and
is NaN for the longest, whatever `batch_size` is. No other value depends on it.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.base import ragged
from lib.base.errors import TesseraError
from lib.base.progress import Advance, unheard
from lib.base.ragged import Ids
from lib.models.limits import trained_length
from lib.models.token_scores import TokenScores, score_tokens
from lib.tokens.tokenization import BosPolicy, bos_id, encode_all

IdRows = Sequence[Ids] | NDArray[np.integer]  # of each text; a matrix for texts of one length


def opening(
    tokenizer: PreTrainedTokenizerBase, token: str | None = None, policy: BosPolicy = "document"
) -> NDArray[np.int64]:
    """The ids that open every text: none or one, shape (0 or 1,).

    token: None for the tokenizer's own BOS by `policy` (see `bos_id`), "" for nothing, or the token itself. Raises
    TesseraError for one that the vocabulary lacks.
    """
    found = bos_id(tokenizer, policy) if token is None else tokenizer.get_vocab().get(token)
    if token and found is None:
        raise TesseraError(
            f"'{token}' is not a token of this tokenizer; name one that is, or leave it out for the tokenizer's BOS"
        )
    return np.array([] if found is None or token == "" else [found], dtype=np.int64)


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that published code pads with: EOS. None for a tokenizer without one."""
    return tokenizer.eos_token_id


def under_target(
    model: PreTrainedModel,
    ids: IdRows,
    first: NDArray[np.int64],
    batch_size: int,
    padding: int | None,
    advance: Advance = unheard,
) -> dict[str, Any]:
    """Rows log_probs, mu, sigma, top_log_probs of stored ids, each after `first` (`opening`), and, unless `padding` is
    None, padding_log_probs (see `lib.attacks.scores`)."""
    scores, after = _padded_scores(model, ids, first, batch_size, padding, moments=True, advance=advance)
    rows = {"log_probs": scores.log_probs, "mu": scores.mu, "sigma": scores.sigma, "top_log_probs": scores.top}
    return rows if after is None else {**rows, "padding_log_probs": after}


def of_ids(
    model: PreTrainedModel, ids: IdRows, first: NDArray[np.int64], batch_size: int, advance: Advance = unheard
) -> list[NDArray[np.float32]]:
    """Rows of l of stored ids under another model with the same tokenizer, each after `first`."""
    return score_tokens(model, ids, [first] * len(ids), batch_size, advance=advance).log_probs


def lowercased(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    first: NDArray[np.int64],
    batch_size: int,
    advance: Advance = unheard,
) -> dict[str, Any]:
    """lower_log_probs, rows of l of the lowercased texts over the tokens that the target's own tokenizer cuts them
    into; and, where it has an EOS, lower_padding_log_probs (see `lib.attacks.scores`)."""
    lowered = encode_all(tokenizer, [text.lower() for text in texts])
    scores, after = _padded_scores(model, lowered, first, batch_size, padding_id(tokenizer), advance=advance)
    rows = {"lower_log_probs": scores.log_probs}
    return rows if after is None else {**rows, "lower_padding_log_probs": after}


def under_reference(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_size: int,
    first: NDArray[np.int64],
    advance: Advance = unheard,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64] | None]:
    """Sum of l over the reference model's own scored tokens, their number, and l of the padding token after them (NaN
    after the longest texts; None without an EOS), for each text after `first` (`opening`); shapes (n,)."""
    ids = encode_all(tokenizer, texts)
    scores, after = _padded_scores(model, ids, first, batch_size, padding_id(tokenizer), advance=advance)
    return ragged.sums(scores.log_probs), ragged.lengths(scores.log_probs), after


def after_prefix(
    model: PreTrainedModel,
    ids: IdRows,
    prefixes: IdRows,
    first: NDArray[np.int64],
    batch_size: int,
    advance: Advance = unheard,
) -> list[NDArray[np.float32]]:
    """Rows of l of the tokens that `under_target` scores, each text after `first` and its prefix."""
    contexts = [np.concatenate([first, prefix]).astype(np.int64) for prefix in prefixes]
    rows = score_tokens(model, ids, contexts, batch_size, advance=advance).log_probs
    return rows if len(first) else [row[1:] for row in rows]


def recall_prefixes(non_members: IdRows, shots: int) -> tuple[NDArray[np.integer], list[NDArray[np.integer]]]:
    """The prefix for members, and that of each non-member: the first `shots` non-members.

    A non-member is never its own prefix: the next one takes its place. Raises ValueError for too few non-members.
    """
    if not 0 < shots < len(non_members):
        raise ValueError(f"a prefix of {shots} needs at least {shots + 1} non-members, found {len(non_members)}")
    own = [[row for row in range(shots + 1) if row != left_out][:shots] for left_out in range(len(non_members))]
    joined = [np.concatenate([non_members[row] for row in rows]) for rows in own]
    return np.concatenate(list(non_members[:shots])), joined


def prefix_room(model: PreTrainedModel, ids: IdRows, first: NDArray[np.int64]) -> int:
    """How many prefix tokens fit between `first` and the longest text, in the length that the model was trained for."""
    limit = trained_length(model)
    return sys.maxsize if limit is None else max(0, limit - len(first) - max(map(len, ids)))


def _padded_scores(
    model: PreTrainedModel, ids: IdRows, first: NDArray[np.int64], batch_size: int, padding: int | None,
    moments: bool = False, advance: Advance = unheard,
) -> tuple[TokenScores, NDArray[np.float64] | None]:  # fmt: skip
    """The scores of all texts of a side, and l of the padding token after each (see above); None without one.

    A text that is padded has room for one more token in the model: the longest one has. Raises ValueError naming the
    row for a text without a token to score, to which padding would add one.
    """
    lengths, least = [len(row) for row in ids], 2 - len(first)
    if short := [row for row, length in enumerate(lengths) if length < least]:
        found = f"{lengths[short[0]]} tokens; at least {least} are needed" if lengths[short[0]] else "an empty text"
        raise ValueError(f"row {short[0]}: {found}")
    padded = [padding is not None and length < max(lengths) for length in lengths]
    given = [np.append(row, padding) if more else row for row, more in zip(ids, padded)]  # type: ignore[arg-type]
    scores = score_tokens(model, given, [first] * len(ids), batch_size, moments, advance)
    after = [row[-1] if more else np.nan for row, more in zip(scores.log_probs, padded)]
    mu, sigma, top = (
        None if rows is None else _without_last(rows, padded) for rows in (scores.mu, scores.sigma, scores.top)
    )
    cut = TokenScores(_without_last(scores.log_probs, padded), mu, sigma, top)
    return cut, None if padding is None else np.array(after, dtype=np.float64)


def _without_last(rows: list[NDArray[np.float32]], padded: list[bool]) -> list[NDArray[np.float32]]:
    return [row[:-1] if more else row for row, more in zip(rows, padded)]
