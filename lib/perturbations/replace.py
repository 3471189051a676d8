"""Fuzzy duplicates by replacement: which positions of a canary change, and into what.

Variation v of canary c draws from streams of (seed, purpose, c, v) alone. The positions for R are the first R of
one permutation and the choice at a position is a draw of its own, so a larger R keeps every smaller one's
replacements, and more variations keep the first ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lib.base.errors import UsageError
from lib.base.seeds import generator
from lib.perturbations.candidates import Candidates

STRATEGIES = ("mlm", "mlm_random", "random")


@dataclass(frozen=True)
class Plan:
    """How canaries are varied: `replaced_tokens` positions, drawn uniformly or one in each equal segment
    (`spread`), anew for each variation or once for all of a canary (`same_positions`)."""

    replaced_tokens: int
    variations: int
    same_positions: bool = False
    spread: bool = False
    seed: int = 0


def variation(canary: Sequence[int], index: int, number: int, candidates: Candidates, plan: Plan) -> list[int]:
    """Variation `number` of the canary in row `index`: target ids, `replaced_tokens` of them replaced.

    Fewer are replaced where fewer positions are replaceable. Raises UsageError for R outside 1..L.
    """
    chosen = positions(candidates.replaceable[index], index, number, plan)
    draws = generator(plan.seed, "replacement choice", index, number).random(len(canary))
    replacements = {int(p): candidates.choose(index, int(p), draws[p]) for p in chosen}
    return apply(canary, replacements)


def positions(replaceable: np.ndarray, index: int, number: int, plan: Plan) -> np.ndarray:
    """The positions to replace, int64, ascending. replaceable: bool, one for each token of the canary."""
    length = len(replaceable)
    if not 1 <= plan.replaced_tokens <= length:
        raise UsageError(f"replaced_tokens is {plan.replaced_tokens}; canaries of {length} tokens allow 1 to {length}")
    stream = generator(plan.seed, "replacement positions", index, 0 if plan.same_positions else number)
    if plan.spread:
        return _one_in_each_segment(replaceable, plan.replaced_tokens, stream.random(length))
    order = stream.permutation(length)
    return np.sort(order[replaceable[order]][: plan.replaced_tokens])


def apply(canary: Sequence[int], replacements: dict[int, Sequence[int]]) -> list[int]:
    """`canary` with the token at each given position replaced by one or more ids."""
    ids = list(map(int, canary))
    for position in sorted(replacements, reverse=True):  # right to left: positions further left stay valid
        ids[position : position + 1] = replacements[position]
    return ids


def _one_in_each_segment(replaceable: np.ndarray, n_segments: int, draws: np.ndarray) -> np.ndarray:
    edges = np.arange(n_segments + 1) * len(replaceable) // n_segments
    segments = [np.flatnonzero(replaceable[a:b]) + a for a, b in pairwise(edges)]
    return np.array([s[int(draw * len(s))] for s, draw in zip(segments, draws) if len(s)], dtype=np.int64)
