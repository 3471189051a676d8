"""Fuzzy duplicates by shuffling: the n-grams of a canary in another order, as far from its own as a Kendall tau says.

tau is the normalized Kendall distance of the tokens: the share of the L (L - 1) / 2 pairs whose order is reversed, 0
for the canary itself. Tokens of one n-gram keep their order, so k inverted pairs of n-grams of n tokens give
tau = k n^2 / (L (L - 1) / 2), and the top is below 1: 0.9899 for L = 100 and n = 2, 0.9596 for 5, 0.9091 for 10.
What is left over where n does not divide L stays at the end.

`uniform` draws every permutation of n-grams with exactly the nearest k with the same probability. `paper` is the
published random walk: transpositions of two random n-grams, from the canary (tau <= 0.5) or its reversal, until tau,
rounded down to two digits, is the given one; a walk that goes past it starts again. Few n-grams move in it: at tau =
0.1 83 % of the bigrams of 100 tokens stay in place.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from typing import Any, Literal

import numpy as np

from lib.base.config import at_least
from lib.base.errors import UsageError
from lib.base.seeds import generator
from lib.perturbations.settings import ATTEMPTS, Settings, Vary

LEVEL = "Kendall distance τ"
NAME = "shuffling"
PHRASE = "a duplicate with its n-grams in another order"
INPUTS = ()
WALKS = 10_000  # after which the published walk is given up
_BITS = 53  # of a random float


@dataclass(frozen=True)
class Keys(Settings):
    """Another order of n-grams.

    tau: the normalized Kendall distance of the tokens to the canary, above 0 and at most 1
    ngram: n, the tokens that stay together
    method: `uniform`: every order at that distance with the same probability; `paper`: the published random walk
    """

    tau: float | None = None
    ngram: int | None = None
    method: Literal["uniform", "paper"] = "uniform"


def check(keys: Keys) -> None:
    """Raise ValueError for tau outside (0, 1], or ngram below 1."""
    at_least(1, ngram=keys.ngram)
    if not 0 < keys.tau <= 1:
        raise ValueError(f"tau is {keys.tau}; it must be above 0 (the canary itself) and at most 1 (its reversal)")


def check_length(keys: Keys, length: int) -> None:
    """Raise UsageError for a tau that no order of the n-grams of a canary has."""
    if keys.method == "paper":
        walked(length, keys.ngram, keys.tau)
    else:
        inversions(length, keys.ngram, keys.tau)


def vary(keys: Keys, inputs: dict[str, Any], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    """Shuffle n-grams, anew in every attempt."""

    def varied(row: int, number: int, attempt: int) -> list[int]:
        stream = generator(keys.seed, "shuffled n-grams", row, number, attempt)
        return variation(tokens[row], keys.ngram, keys.tau, keys.method, stream)

    return varied, ATTEMPTS


def variation(canary: Sequence[int], ngram: int, tau: float, method: str, stream: np.random.Generator) -> list[int]:
    """`canary` with its n-grams in a random order at a Kendall distance of `tau` (see the module).

    Raises UsageError for a tau that no order of the n-grams has, naming the possible ones.
    """
    length = len(canary)
    if method == "paper":
        order = walk(length, ngram, tau, stream)
    else:
        wanted = inversions(length, ngram, tau)
        order = permutation(length // ngram, wanted, stream)
    places = [place for piece in order for place in range(piece * ngram, (piece + 1) * ngram)]
    return [int(canary[place]) for place in [*places, *range(len(places), length)]]


def inversions(length: int, ngram: int, tau: float) -> int:
    """How many pairs of n-grams of a text of `length` tokens are inverted at the possible tau nearest to `tau`, >= 1.

    Raises UsageError, naming the top tau, for one that lies beyond it, and the least, for one nearest to 0.
    """
    _check(length, ngram)
    pairs, step = comb(length // ngram, 2), step_of(length, ngram)
    wanted = round(tau / step)
    if not 1 <= wanted <= pairs:
        raise UsageError(
            f"tau is {tau}; {length // ngram} n-grams of {ngram} tokens in canaries of {length} reach "
            f"{step:.4g} to {pairs * step:.4g} (the top)"
        )
    return wanted


def step_of(length: int, ngram: int) -> float:
    """The tau of one inverted pair of n-grams."""
    return ngram**2 / comb(length, 2)


def permutation(size: int, wanted: int, stream: np.random.Generator) -> list[int]:
    """A permutation of 0..size-1 with exactly `wanted` inversions, each with the same probability.

    Its inversion table e_i in [0, i], i < size, sums to `wanted`; entries are drawn from the last to the first, each
    in proportion to the number of tables that the rest can complete (exact integers; some 10 MB for 100 n-grams).
    """
    top = comb(size, 2)
    if 2 * wanted > top:  # reversed, a permutation has the other pairs inverted
        return permutation(size, top - wanted, stream)[::-1]
    counts, table, rest = _mahonian(size, wanted), [0] * size, wanted
    for entry in range(size - 1, 0, -1):
        smaller = counts[entry]
        value = max(0, rest - (len(smaller) - 1))
        left = (int(stream.random() * 2**_BITS) * counts[entry + 1][rest]) >> _BITS
        while left >= smaller[rest - value]:
            left -= smaller[rest - value]
            value += 1
        table[entry], rest = value, rest - value
    return _from_inversion_table(table)


def walk(length: int, ngram: int, tau: float, stream: np.random.Generator) -> list[int]:
    """The order of n-grams at which the published walk first has `tau`, in two digits (rounded down).

    Raises UsageError when no order has it, or when WALKS walks have gone past it.
    """
    size, good = length // ngram, walked(length, ngram, tau)
    for _ in range(WALKS):
        found = _one_walk(size, good, tau > 0.5, stream)
        if found is not None:
            return found
    raise UsageError(f"tau is {tau}: {WALKS} walks went past it; use method uniform")


def walked(length: int, ngram: int, tau: float) -> set[int]:
    """The numbers of inverted pairs of n-grams whose tau is `tau` in two digits (rounded down).

    Raises UsageError if there is none, naming what there is.
    """
    _check(length, ngram)
    size, wanted = length // ngram, round(100 * tau)
    good = {k for k in range(1, comb(size, 2) + 1) if 100 * k * ngram**2 // comb(length, 2) == wanted}
    if not good or abs(100 * tau - wanted) > 1e-9:
        top = comb(size, 2) * step_of(length, ngram)
        raise UsageError(
            f"tau is {tau}; no order of {size} n-grams of {ngram} tokens in canaries of {length} has it in two digits, "
            f"as method paper needs; their tau is a multiple of {step_of(length, ngram):.4g} up to {top:.4g} (the top)"
        )
    return good


def inverted_pairs(order: Sequence[int]) -> int:
    """How many pairs of an order stand the wrong way round."""
    array = np.asarray(order)
    return int(np.triu(array[:, None] > array, 1).sum())


def _one_walk(size: int, good: set[int], from_above: bool, stream: np.random.Generator) -> list[int] | None:
    order = list(range(size))[:: -1 if from_above else 1]
    for _ in range(size * size):
        i, j = stream.choice(size, 2, replace=False)
        order[i], order[j] = order[j], order[i]
        now = inverted_pairs(order)
        if now in good:
            return order
        if now < min(good) if from_above else now > max(good):
            return None
    return None


@functools.lru_cache(maxsize=4)
def _mahonian(size: int, most: int) -> list[list[int]]:
    """counts[n][s], s <= most: how many permutations of n have s inversions (Mahonian numbers)."""
    counts = [[1]]
    for entries in range(size):
        sums = [0, *accumulate(counts[-1])]
        last = len(sums) - 1
        reach = min(most, comb(entries + 1, 2))
        counts.append([sums[min(s + 1, last)] - sums[max(0, min(s - entries, last))] for s in range(reach + 1)])
    return counts


def _from_inversion_table(table: Sequence[int]) -> list[int]:
    """The permutation in which item i has table[i] smaller items behind it."""
    order: list[int] = []
    for item, behind in enumerate(table):
        order.insert(len(order) - behind, item)
    return order


def _check(length: int, ngram: int) -> None:
    if not 1 <= ngram <= length // 2:
        raise UsageError(
            f"ngram is {ngram}; canaries of {length} tokens allow 1 to {length // 2}, two n-grams at least"
        )
