"""How much of the true suffix a continuation repeats; rows of token ids, compared over the suffix's length S.

A continuation that ended before holds lib.generation.continuations.ENDED from there on, which is no id.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from lib.generation.continuations import ENDED
from lib.prefix import bleu as sentence_bleu

Ids = NDArray[np.integer]


def columns(continuations: Ids, prompts: Ids, suffixes: Ids) -> dict[str, NDArray]:
    """Everything below, of each row, and `exact`: whether the whole suffix is repeated (bool)."""
    matched = matched_tokens(continuations, suffixes)
    return {
        "exact": matched == suffixes.shape[1], "matched_tokens": matched,
        "edit_similarity": edit_similarity(continuations, suffixes), "bleu": bleu(continuations, suffixes),
        "suffix_in_prompt": in_prompt(prompts, suffixes),
    }  # fmt: skip


def matched_tokens(continuations: Ids, suffixes: Ids) -> NDArray[np.uint32]:
    """How many ids agree before the first that does not, (n,), 0 to S.

    continuations: (n, C) with C >= S; suffixes: (n, S). Raises ValueError for other shapes, as all functions here.
    """
    return np.cumprod(_heads(continuations, suffixes) == suffixes, axis=1).sum(axis=1).astype(np.uint32)


def edit_similarity(continuations: Ids, suffixes: Ids) -> NDArray[np.float64]:
    """1 - Levenshtein distance / S, in ids, (n,), between the first S ids of the continuation and the suffix."""
    distances = [Levenshtein.distance(*pair) for pair in _pairs(continuations, suffixes)]
    return 1 - np.array(distances, dtype=np.float64) / suffixes.shape[1]


def bleu(continuations: Ids, suffixes: Ids) -> NDArray[np.float64]:
    """Smoothed sentence BLEU (see lib.prefix.bleu) of the first S ids of the continuation against the suffix, (n,)."""
    return np.array([sentence_bleu.score(*pair) for pair in _pairs(continuations, suffixes)], dtype=np.float64)


def in_prompt(prompts: Ids, suffixes: Ids) -> NDArray[np.bool_]:
    """Whether the whole suffix occurs in its prompt already, (n,): a copy is no memory."""
    length = suffixes.shape[1]
    if prompts.shape[1] < length:
        return np.zeros(len(prompts), dtype=bool)
    pairs = zip(prompts, suffixes, strict=True)
    return np.array([(sliding_window_view(prompt, length) == suffix).all(1).any() for prompt, suffix in pairs], bool)


def _heads(continuations: Ids, suffixes: Ids) -> Ids:
    if len(continuations) != len(suffixes) or continuations.shape[1] < suffixes.shape[1]:
        raise ValueError(f"continuations {continuations.shape} do not cover suffixes {suffixes.shape}")
    return continuations[:, : suffixes.shape[1]]


def _pairs(continuations: Ids, suffixes: Ids) -> list[tuple[list[int], list[int]]]:
    heads = _heads(continuations, suffixes)
    return [(head[head != ENDED].tolist(), suffix.tolist()) for head, suffix in zip(heads, suffixes)]
