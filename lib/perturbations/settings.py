"""What every kind of fuzzy duplicate is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass

Vary = Callable[[int, int, int], list[int]]  # (row of the canary, number of the variation, attempt) -> its ids
ATTEMPTS = 100  # draws that a variation has to differ from the canary and the others


@dataclass(frozen=True)
class Settings:
    """What all kinds have in common; the `Keys` of a kind come on top.

    variations: how many near-copies are made of each canary
    seed: of every draw
    """

    variations: int = 9
    seed: int = 0
