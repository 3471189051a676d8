"""Makes distinct variations, and measures them: edits in ids, and whether they survive as text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein
from transformers import PreTrainedTokenizerBase

from lib.tokens.tokenization import decode_all, encode_all


@dataclass(frozen=True)
class Measured:
    """One variation against its canary, in tokens of the target."""

    edit_distance: int  # of the ids as they were made
    trained_edit_distance: int  # of the ids that a model sees when the variation is injected as text
    survives_text: bool  # whether both are the same ids


def measure(
    tokenizer: PreTrainedTokenizerBase, canary: Sequence[int], variations: Sequence[Sequence[int]]
) -> list[Measured]:
    """Each variation's token Levenshtein distance to `canary`, as ids and after decode and encode."""
    original = list(map(int, canary))
    trained = encode_all(tokenizer, decode_all(tokenizer, variations))
    return [
        Measured(edit_distance(original, made), edit_distance(original, seen), list(made) == seen)
        for made, seen in zip(variations, trained)
    ]


def distinct(
    draw: Callable[[int, int], list[int]], original: Sequence[int], count: int, attempts: int
) -> list[list[int]]:
    """`count` variations of `original`, which they differ from, and from each other, where the draws allow it.

    draw: (number of the variation, attempt) -> ids; the first attempt that gives what is not there yet counts, the
    last one when none of `attempts` does. More variations keep the first ones.
    """
    found: list[list[int]] = []
    for number in range(count):
        taken = [list(map(int, original)), *found]
        for attempt in range(attempts):
            ids = draw(number, attempt)
            if ids not in taken:
                break
        found.append(ids)
    return found


def repeats(original: Sequence[int], variations: Sequence[Sequence[int]]) -> int:
    """How many of the variations of one canary are the canary itself, or one of the variations before."""
    return len(variations) + 1 - len({tuple(map(int, ids)) for ids in [original, *variations]})


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and substitutions of ids."""
    return Levenshtein.distance(list(map(int, a)), list(map(int, b)))
