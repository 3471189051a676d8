"""Fuzzy duplicates by insertion: random tokens between the n-grams of a canary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.base.config import at_least
from lib.base.seeds import generator
from lib.canaries.ngrams import split
from lib.perturbations.settings import ATTEMPTS, Settings, Vary

LEVEL = "tokens that stay together n"
NAME = "insertion"
PHRASE = "a duplicate with tokens inserted between its n-grams"
INPUTS = ()


@dataclass(frozen=True)
class Keys(Settings):
    """Insertion of tokens.

    ngram: n, the tokens of a canary that stay together
    inserted_tokens: X, how many random tokens come between two n-grams
    """

    ngram: int | None = None
    inserted_tokens: int | None = None


def check(keys: Keys) -> None:
    """Raise ValueError for counts below 1."""
    at_least(1, ngram=keys.ngram, inserted_tokens=keys.inserted_tokens)


def check_length(keys: Keys, length: int) -> None:
    """Raise ValueError for n-grams that leave nothing to insert between."""
    if keys.ngram >= length:
        raise ValueError(f"ngram is {keys.ngram}; it must be below the {length} tokens of a canary")


def vary(keys: Keys, inputs: dict[str, Any], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    """Insert tokens drawn from the target's vocabulary, anew in every attempt."""
    from lib.tokens.vocabulary import fragments

    pool = np.array(list(fragments(tokenizer).values()), dtype=np.int64)

    def varied(row: int, number: int, attempt: int) -> list[int]:
        stream = generator(keys.seed, "inserted tokens", row, number, attempt)
        return variation(tokens[row], keys.ngram, keys.inserted_tokens, pool, stream)

    return varied, ATTEMPTS


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
