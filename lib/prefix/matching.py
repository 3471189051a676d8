"""Measures how much of the true suffix a continuation repeats: rows of token ids, over the suffix's length S.

A continuation that ended early is filled up with lib.generation.decode_loop.ENDED, which is not an id.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from lib.generation.decode_loop import ENDED
from lib.prefix import bleu

IdMatrix = NDArray[np.integer]


def columns(continuations: IdMatrix, prompts: IdMatrix, suffixes: IdMatrix) -> dict[str, NDArray]:
    """Everything below, of each row, and `exact`: whether the whole suffix is repeated (bool)."""
    continuations, prompts, suffixes = map(np.asarray, (continuations, prompts, suffixes))
    matched = matched_tokens(continuations, suffixes)
    return {
        "exact": matched == suffixes.shape[1],
        "matched_tokens": matched,
        "edit_similarity": edit_similarity(continuations, suffixes),
        "bleu": bleu_scores(continuations, suffixes),
        "suffix_in_prompt": in_prompt(prompts, suffixes),
    }


def matched_tokens(continuations: IdMatrix, suffixes: IdMatrix) -> NDArray[np.uint32]:
    """How many ids agree before the first that does not, (n,), 0 to S.

    continuations: (n, C) with C >= S; suffixes: (n, S). Raises ValueError for other shapes, as all functions here.
    """
    return np.cumprod(_heads(continuations, suffixes) == suffixes, axis=1).sum(axis=1).astype(np.uint32)


def edit_similarity(continuations: IdMatrix, suffixes: IdMatrix) -> NDArray[np.float64]:
    """1 - Levenshtein distance / S, in ids, (n,), between the first S ids of the continuation and the suffix."""
    distances = [Levenshtein.distance(*pair) for pair in _pairs(continuations, suffixes)]
    return 1 - np.array(distances, dtype=np.float64) / suffixes.shape[1]


def bleu_scores(continuations: IdMatrix, suffixes: IdMatrix) -> NDArray[np.float64]:
    """Smoothed sentence BLEU (see lib.prefix.bleu) of the first S ids of the continuation against the suffix, (n,)."""
    return np.array([bleu.score(*pair) for pair in _pairs(continuations, suffixes)], dtype=np.float64)


def in_prompt(prompts: IdMatrix, suffixes: IdMatrix) -> NDArray[np.bool_]:
    """Whether the whole suffix occurs in its prompt already, (n,): repeating it then need not be memorization."""
    length = suffixes.shape[1]
    if prompts.shape[1] < length:
        return np.zeros(len(prompts), dtype=bool)
    pairs = zip(prompts, suffixes, strict=True)
    return np.array([(sliding_window_view(prompt, length) == suffix).all(1).any() for prompt, suffix in pairs], bool)


def _heads(continuations: IdMatrix, suffixes: IdMatrix) -> IdMatrix:
    if continuations.ndim != 2 or suffixes.ndim != 2:
        raise ValueError(f"continuations {continuations.shape} and suffixes {suffixes.shape} must be matrices of ids")
    if len(continuations) != len(suffixes) or continuations.shape[1] < suffixes.shape[1]:
        raise ValueError(f"continuations {continuations.shape} do not cover suffixes {suffixes.shape}")
    return continuations[:, : suffixes.shape[1]]


def _pairs(continuations: IdMatrix, suffixes: IdMatrix) -> list[tuple[list[int], list[int]]]:
    heads = _heads(continuations, suffixes)
    return [(head[head != ENDED].tolist(), suffix.tolist()) for head, suffix in zip(heads, suffixes)]
