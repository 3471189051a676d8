"""What all kinds of fuzzy duplicates share: common keys, and the type of their result."""

from collections.abc import Callable
from dataclasses import dataclass

Vary = Callable[[int, int, int], list[int]]  # (row of the canary, number of the variation, attempt) -> its ids
ATTEMPTS = 100  # draws before a variation may equal the canary or another variation


@dataclass(frozen=True)
class Settings:
    """What all kinds have in common; the `Keys` of a kind come on top.

    variations: how many fuzzy duplicates are made of each canary
    seed: of every draw
    """

    variations: int = 9
    seed: int = 0
