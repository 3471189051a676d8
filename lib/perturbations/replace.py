"""Fuzzy duplicates by replacement: which positions of a canary change, and into what.

Variation v of canary c draws from streams of (seed, purpose, c, v) alone. The positions for R are the first R of
one permutation and the choice at a position is a draw of its own, so a larger R keeps every smaller one's
replacements, and more variations keep the first ones.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import places
from lib.base.config import at_least, execution
from lib.base.errors import UsageError
from lib.base.progress import Advance, unheard
from lib.base.seeds import generator
from lib.perturbations.candidates import ReplacementCandidates, model_input
from lib.perturbations.settings import Settings, Vary

LEVEL = "replaced tokens R"
NAME = "replacement"
PHRASE = "a duplicate with replaced tokens"
INPUTS = ("candidates", "masked_lm")
COUNTED = "positions"  # of canaries, for which a masked language model computes: `vary` says how far it is


@dataclass(frozen=True)
class Keys(Settings):
    """Replacement of tokens.

    replaced_tokens: R, the tokens of each variation that are replaced
    strategy: what may replace a token. `mlm`, `clm`: the `top_k` likeliest of a masked or causal language model;
        `mlm_random`, `clm_random`: any token of its vocabulary; `random`: any token of the target's
    top_k: how many candidates `mlm` and `clm` have for a position
    same_positions: whether all variations of a canary are changed at the same positions
    spread: whether one position is drawn in each of R equal segments, instead of R anywhere
    dtype: of the masked language model
    device: of the masked language model
    batch_size: masked texts at a time
    """

    replaced_tokens: int = 1
    strategy: Literal["mlm", "mlm_random", "clm", "clm_random", "random"] = "mlm"
    top_k: int = 10
    same_positions: bool = False
    spread: bool = False
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)


def check(keys: Keys) -> None:
    """Raise ValueError for counts below 1."""
    at_least(1, replaced_tokens=keys.replaced_tokens, top_k=keys.top_k)


def check_length(keys: Keys, length: int) -> None:
    """Raise ValueError for more replaced tokens than a canary has."""
    if keys.replaced_tokens > length:
        raise ValueError(f"replaced_tokens is {keys.replaced_tokens}; a canary has {length} tokens")


def check_inputs(keys: Keys, inputs: Collection[str]) -> None:
    """Raise UsageError without candidates, unless the model that makes them is given: a masked one, or none."""
    if "candidates" not in inputs and model_input(keys.strategy, (*inputs, "causal_lm")) == "causal_lm":
        raise UsageError(f"strategy {keys.strategy} needs the input candidates; make it by the stage candidates")


def vary(
    keys: Keys, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any, advance: Advance = unheard
) -> tuple[Vary, int]:
    """Replace tokens by candidates; one attempt: another would break that a larger R keeps a smaller one's choices."""
    found = _read_or_compute(keys, inputs, tokens, advance)
    every = [(row, number) for row in range(len(tokens)) for number in range(keys.variations)]
    short = sum(len(positions(found.replaceable[row], row, n, keys)) < keys.replaced_tokens for row, n in every)
    if short:
        print(f"{short} of {len(every)} variations have fewer than {keys.replaced_tokens} replaceable positions")
    return lambda row, number, attempt: variation(tokens[row], row, number, found, keys), 1


def variation(
    canary: Sequence[int], index: int, number: int, candidates: ReplacementCandidates, keys: Keys
) -> list[int]:
    """Variation `number` of the canary in row `index`: target ids, `replaced_tokens` of them replaced.

    Fewer are replaced where fewer positions are replaceable. Raises UsageError for R outside 1..L.
    """
    chosen = positions(candidates.replaceable[index], index, number, keys)
    draws = generator(keys.seed, "replacement choice", index, number).random(len(canary))
    replacements = {int(p): candidates.choose(index, int(p), draws[p]) for p in chosen}
    return apply(canary, replacements)


def positions(replaceable: np.ndarray, index: int, number: int, keys: Keys) -> np.ndarray:
    """The positions to replace, int64, ascending. replaceable: bool, one for each token of the canary."""
    length = len(replaceable)
    if not 1 <= keys.replaced_tokens <= length:
        raise UsageError(f"replaced_tokens is {keys.replaced_tokens}; canaries of {length} tokens allow 1 to {length}")
    stream = generator(keys.seed, "replacement positions", index, 0 if keys.same_positions else number)
    if keys.spread:
        return _one_in_each_segment(replaceable, keys.replaced_tokens, stream.random(length))
    order = stream.permutation(length)
    return np.sort(order[replaceable[order]][: keys.replaced_tokens])


def apply(canary: Sequence[int], replacements: Mapping[int, Sequence[int]]) -> list[int]:
    """`canary` with the token at each given position replaced by one or more ids."""
    ids = list(map(int, canary))
    for position in sorted(replacements, reverse=True):  # right to left: positions further left stay valid
        ids[position : position + 1] = replacements[position]
    return ids


def _read_or_compute(
    keys: Keys, inputs: dict[str, Path], tokens: np.ndarray, advance: Advance
) -> ReplacementCandidates:
    """Read the candidates from a finished file, else compute them, with the masked language model of a directory."""
    from lib.perturbations import candidates_file

    settings = candidates_file.Settings(
        keys.strategy, keys.top_k, dtype=keys.dtype, device=keys.device, batch_size=keys.batch_size
    )
    if "candidates" in inputs:
        return candidates_file.read(store.find(inputs["candidates"], places.CANDIDATES), tokens, settings)
    return candidates_file.compute(tokens, inputs, settings, advance)


def _one_in_each_segment(replaceable: np.ndarray, n_segments: int, draws: np.ndarray) -> np.ndarray:
    edges = np.arange(n_segments + 1) * len(replaceable) // n_segments
    segments = [np.flatnonzero(replaceable[a:b]) + a for a, b in pairwise(edges)]
    return np.array([s[int(draw * len(s))] for s, draw in zip(segments, draws) if len(s)], dtype=np.int64)
