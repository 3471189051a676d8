"""Variations that are there already, a number for each canary: taken in turn."""

from lib.perturbations.settings import Vary


def in_turn(found: list[list[list[int]]], variations: int, what: str) -> tuple[Vary, int]:
    """How to vary by those that each canary has, again from the first where they are too few; one attempt each.

    found: for each canary the ids of its variations; what: their name in the line that is printed.
    """
    short = sum(len(several) < variations for several in found)
    if short:
        print(f"{short} of {len(found)} canaries have fewer than {variations} {what}: theirs are used again")
    return lambda row, number, attempt: found[row][number % len(found[row])], 1
