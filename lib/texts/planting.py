"""Which passage of a training text is planted how often, exactly and nearly: conditions, drawn evenly over passages."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.base.seeds import generator

EXACT, REPLACE, TRANSLATION = "exact", "replace", "translation"  # kinds: no near-duplicates, fuzzy ones, found ones


@dataclass(frozen=True)
class Condition:
    """What a passage gets: so many exact copies, and beside them `near` near-duplicates of a kind.

    level: of REPLACE, how many tokens of each are replaced; setting: of TRANSLATION, out of which book.
    """

    kind: str
    exact: int
    near: int = 0
    level: int = 0
    setting: str = ""


def conditions(
    copies: Sequence[int], beside: Sequence[int], near: int, replaced: Sequence[int], translations: Sequence[str]
) -> list[Condition]:
    """Exact copies alone, and every kind of near-duplicate beside each of `beside` exact copies."""
    alone = [Condition(EXACT, exact) for exact in copies]
    fuzzy = [Condition(REPLACE, exact, near, level) for level in replaced for exact in beside]
    found = [Condition(TRANSLATION, exact, near, setting=name) for name in translations for exact in beside]
    return [*alone, *fuzzy, *found]


def assigned(n_passages: int, n_conditions: int, seed: int) -> NDArray[np.int64]:
    """The condition of each passage, (n_passages,): drawn, and each one for as many passages as the others, or one
    more."""
    return generator(seed, "conditions of passages").permutation(n_passages) % n_conditions
