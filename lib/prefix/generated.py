"""Scores generated texts under models: the likelihoods behind the published rankings, one pass per text and model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lib.base.progress import Advance, unheard
from lib.generation.decode_loop import ENDED
from lib.models.token_scores import TokenScores, score_tokens
from lib.tokens.tokenization import decode_all, encode_all, same_ids, special_ids

ScoredPart = Literal["all", "continuation"]


@dataclass(frozen=True)
class Generated:
    """ids of n prompts and of their continuations (of any length, ends dropped), and both as text."""

    prompts: list[NDArray[np.int64]]
    continuations: list[NDArray[np.int64]]
    prompt_texts: list[str]
    continuation_texts: list[str]

    @property
    def texts(self) -> list[str]:
        """Prompt and continuation, verbatim."""
        return [prompt + continuation for prompt, continuation in zip(self.prompt_texts, self.continuation_texts)]


def decoded(
    prompts: NDArray[np.integer], continuations: NDArray[np.integer], ends: Sequence[int], tokenizer: Any
) -> Generated:
    """prompts: (n, P); continuations: (n, C), ENDED after the end; ends: ids that are dropped at the end of a row."""
    bare = [_without_end(row[row != ENDED], ends) for row in continuations.astype(np.int64)]
    opening = list(prompts.astype(np.int64))
    before = decode_all(tokenizer, opening)
    whole = decode_all(tokenizer, [np.concatenate(pair) for pair in zip(opening, bare)])
    # a character may be cut between prompt and continuation: the texts then differ from those of the parts
    after = [
        text[len(head) :] if text.startswith(head) else decode_all(tokenizer, [ids])[0]
        for head, text, ids in zip(before, whole, bare)
    ]
    return Generated(opening, bare, before, after)


def by_ids(
    model: Any,
    given: Generated,
    scored: ScoredPart,
    first: NDArray[np.int64],
    batch_size: int,
    moments: bool = False,
    advance: Advance = unheard,
) -> TokenScores:
    """Rows of l (and mu, sigma) over the ids as they were generated.

    scored: all tokens of a text (after `first`, none or one opening id), or those of the continuation alone, given
    the prompt. A text without a scored token has an empty row.
    """
    return _score(model, given.prompts, given.continuations, scored, first, batch_size, moments, advance)


def as_made(given: Generated, scored: ScoredPart, columns: Mapping[str, NDArray[np.float32]]) -> TokenScores:
    """The same as `by_ids`, without a pass, from what generation found: `log_probs`, `mu` and `sigma` (n, P + C), the
    first column NaN where no opening id came before (see lib.generation.continuations)."""
    bounds = [
        (len(prompt) if scored == "continuation" else 0, len(prompt) + len(made))
        for prompt, made in zip(given.prompts, given.continuations)
    ]
    found = ([row[slice(*bound)] for row, bound in zip(columns[name], bounds)] for name in ("log_probs", "mu", "sigma"))
    return TokenScores(*([row[int(np.isnan(row[:1]).any()) :] for row in rows] for rows in found))


def by_text(
    model: Any, tokenizer: Any, given: Generated, scored: ScoredPart, first: NDArray[np.int64], batch_size: int,
    change: Callable[[str], str] = str, advance: Advance = unheard,
) -> TokenScores:  # fmt: skip
    """The same over the ids that `tokenizer` makes of the texts, after `change` (of the continuation alone, where only
    that is scored). Whole texts are cut into tokens in one piece."""
    if scored == "all":
        ids = [np.asarray(row, np.int64) for row in encode_all(tokenizer, [change(text) for text in given.texts])]
        nothing = [np.zeros(0, np.int64)] * len(ids)
        return _score(model, nothing, ids, scored, first, batch_size, False, advance)
    prompts, continuations = (
        [np.asarray(row, np.int64) for row in encode_all(tokenizer, texts)]
        for texts in (given.prompt_texts, [change(text) for text in given.continuation_texts])
    )
    return _score(model, prompts, continuations, scored, first, batch_size, False, advance)


def _score(
    model: Any,
    prompts: Sequence[NDArray[np.int64]],
    continuations: Sequence[NDArray[np.int64]],
    scored: ScoredPart,
    first: NDArray[np.int64],
    batch_size: int,
    moments: bool,
    advance: Advance,
) -> TokenScores:
    if scored == "all":
        texts = [np.concatenate(pair) for pair in zip(prompts, continuations)]
        contexts = [first] * len(texts)
    else:
        texts, contexts = list(continuations), [np.concatenate([first, prompt]) for prompt in prompts]
    there = [row for row, text in enumerate(texts) if len(text) and len(text) + len(contexts[row]) > 1]
    chosen, before = [texts[row] for row in there], [contexts[row] for row in there]
    found = score_tokens(model, chosen, before, batch_size, moments, advance)
    advance(len(texts) - len(there))  # there is nothing to score in them
    spread = partial(_spread, places=there, n=len(texts))
    mu, sigma = (None if rows is None else spread(rows) for rows in (found.mu, found.sigma))
    return TokenScores(spread(found.log_probs), mu, sigma)


def _spread(rows: list[NDArray[np.float32]], places: Sequence[int], n: int) -> list[NDArray[np.float32]]:
    """Rows at their places among n, empty ones elsewhere."""
    spread: list[NDArray[np.float32]] = [np.zeros(0, np.float32) for _ in range(n)]
    for place, row in zip(places, rows):
        spread[place] = row
    return spread


def _without_end(ids: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.int64]:
    return ids[:-1] if len(ids) and ids[-1] in ends else ids


def continuations_as(
    prompts: NDArray[np.integer], continuations: NDArray[np.integer], own: Any, other: Any
) -> list[NDArray[np.int64]]:
    """Continuations as ids of the tokenizer `other`: their own where both mean the same, else their texts encoded anew.

    prompts, continuations: as in `decoded`, ids of the tokenizer `own`; special ids at the end of a row are dropped.
    """
    given = decoded(prompts, continuations, sorted(special_ids(own)), own)
    if same_ids(own, other):
        return given.continuations
    return [np.asarray(ids, np.int64) for ids in encode_all(other, given.continuation_texts)]
