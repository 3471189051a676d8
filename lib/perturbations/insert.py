"""Fuzzy duplicates by insertion: random tokens between the n-grams of a canary."""

from collections.abc import Sequence

import numpy as np

from lib.canaries.ngrams import split


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
