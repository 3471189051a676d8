"""Replacement candidates: the tokens that may replace each token of a canary."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from lib.base.errors import UsageError

MODELS = {"mlm": "masked_lm", "clm": "causal_lm"}  # the input with the model of a strategy, and of its `_random`
PROPOSALS = 16  # of a causal model, ranked by the text after them; more are only taken where top_k asks for more


def model_input(strategy: str, inputs: Collection[str]) -> str | None:
    """The one of the stage's inputs that holds the model of a strategy; None for a strategy without one.

    Raises UsageError if it is not given.
    """
    name = MODELS.get(strategy.removesuffix("_random"))
    if name and name not in inputs:
        raise UsageError(f"strategy {strategy} needs the input {name}; give one saved by transformers")
    return name


@dataclass(frozen=True)
class ReplacementCandidates:
    """The candidates for each of n x L canary positions.

    sequences: every replacement there is, as one or more target ids. options: for position p of canary c, row
    c * L + p holds the indices into `sequences` to choose from, likeliest first; None: any of them.
    original: n x L int64, the index that spells the original token there, -1 when none does.
    replaceable: n x L bool, False where the text cannot be cut around the token or no option is left.
    """

    sequences: Sequence[Sequence[int]] | Sequence[np.ndarray]
    options: Sequence[np.ndarray] | None
    original: np.ndarray
    replaceable: np.ndarray

    def choose(self, canary: int, position: int, uniform: float) -> list[int]:
        """The target ids that a uniform draw in [0, 1) picks; never the original."""
        if self.options is not None:
            row = self.options[canary * self.original.shape[1] + position]
            return list(self.sequences[row[int(uniform * len(row))]])
        original = int(self.original[canary, position])
        index = int(uniform * (len(self.sequences) - (original >= 0)))
        return list(self.sequences[index + (0 <= original <= index)])
