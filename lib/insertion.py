"""Fuzzy duplicates by insertion: random tokens between the n-grams of a canary."""

from collections.abc import Sequence

import numpy as np

from lib.errors import UsageError


def split(ids: Sequence[int], ngram: int) -> list[list[int]]:
    """The consecutive n-grams of `ids`; the last one is shorter where `ngram` does not divide the length.

    Raises UsageError for an n-gram that leaves nothing to come between: below 1, or as long as `ids`.
    """
    if not 1 <= ngram < len(ids):
        raise UsageError(f"ngram is {ngram}; canaries of {len(ids)} tokens allow 1 to {len(ids) - 1}")
    return [list(map(int, ids[start : start + ngram])) for start in range(0, len(ids), ngram)]


def variation(
    canary: Sequence[int], ngram: int, inserted_tokens: int, pool: np.ndarray, stream: np.random.Generator
) -> list[int]:
    """`canary` with `inserted_tokens` ids between every two n-grams, drawn uniformly from `pool` (1-D ids).

    L tokens become L + (ceil(L / n) - 1) X. The first ids after each n-gram are the same for every larger X.
    """
    pieces = split(canary, ngram)
    drawn = pool[stream.integers(len(pool), size=(inserted_tokens, len(pieces) - 1))]  # row x: the x-th of every gap
    between = [*drawn.T.tolist(), []]
    return [index for piece, inserted in zip(pieces, between) for index in [*piece, *inserted]]
