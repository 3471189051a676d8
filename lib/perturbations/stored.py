"""Takes variations that already exist, several for each canary, in turn."""

from lib.perturbations.settings import Vary


def in_turn(found: list[list[list[int]]], variations: int, what: str) -> tuple[Vary, int]:
    """A `Vary` that takes the variations of a canary in turn, from the first again if there are too few; one attempt.

    found: for each canary the ids of its variations; what: what the printed line calls them.
    """
    short = sum(len(several) < variations for several in found)
    if short:
        print(f"{short} of {len(found)} canaries have fewer than {variations} {what}: theirs are used again")
    return lambda row, number, attempt: found[row][number % len(found[row])], 1
