"""Fuzzy duplicates: `variations` near-copies of each canary.

python -m jobs.duplicates --config duplicates.yaml --out DIR

    inputs: {canaries: canaries.h5, masked_lm: DIR}   # masked_lm: a model, or finished candidates
    target_tokenizer: DIR
    kind: replace
    strategy: mlm
    replaced_tokens: 5
    top_k: 10
    variations: 9

Writes duplicates.h5, one row a variation, canary by canary: `tokens` and `offsets` (target ids, ragged), `canary`
(row of its canary), `edit_distance` (tokens, to the canary), `survives_text` (whether decode and encode give the
same ids), `trained_edit_distance` (of the ids that the text gives: what a model trains on), `text`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib import evidence, hdf5, names, store
from lib.config import execution

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("masked_lm",)
SLUG = ("kind", "replaced_tokens", "seed")
IMPORTS_TORCH = True

Vary = Callable[[int, int], list[int]]  # (row of the canary, number of the variation) -> its ids


@dataclass(frozen=True)
class Config:
    """`same_positions`: the same positions in every variation of a canary; `spread`: one in each of
    `replaced_tokens` equal segments; `top_k` counts for the strategy `mlm` only."""

    kind: Literal["replace"] = "replace"
    strategy: Literal["mlm", "mlm_random", "random"] = "mlm"
    replaced_tokens: int = 1
    top_k: int = 10
    variations: int = 9
    same_positions: bool = False
    spread: bool = False
    seed: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)

    def __post_init__(self) -> None:
        """Refuse counts of nothing."""
        for name in ("replaced_tokens", "top_k", "variations", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 is wanted")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; at least 0 is wanted")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Vary each canary, measure, write."""
    from lib import models
    from lib.fuzzy import measure

    tokenizer = models.load_tokenizer(inputs["target_tokenizer"])
    tokens = evidence.read_ids(store.find(inputs["canaries"], names.CANARIES), len(tokenizer))
    vary = KINDS[config.kind](config, inputs, tokens)
    made = [[vary(row, number) for number in range(config.variations)] for row in range(len(tokens))]
    measured = [m for canary, rows in zip(tokens, made) for m in measure(tokenizer, canary, rows)]
    _write(out / names.DUPLICATES, config, tokenizer, [row for rows in made for row in rows], measured)


def _replace(config: Config, inputs: dict[str, Path], tokens: np.ndarray) -> Vary:
    from lib.replacement import Plan, positions, variation

    found = _candidates(config, inputs, tokens)
    plan = Plan(config.replaced_tokens, config.variations, config.same_positions, config.spread, config.seed)
    every = [(row, number) for row in range(len(tokens)) for number in range(config.variations)]
    short = sum(len(positions(found.replaceable[row], row, n, plan)) < config.replaced_tokens for row, n in every)
    if short:
        print(f"{short} of {len(every)} variations have fewer than {config.replaced_tokens} replaceable positions")
    return lambda row, number: variation(tokens[row], row, number, found, plan)


KINDS: dict[str, Callable[[Config, dict[str, Path], np.ndarray], Vary]] = {"replace": _replace}


def _candidates(config: Config, inputs: dict[str, Path], tokens: np.ndarray):
    from lib import candidates

    settings = candidates.Settings(config.strategy, config.top_k, config.dtype, config.device, config.batch_size)
    given = inputs.get("masked_lm")
    if given is not None and (given.is_file() or (given / names.CANDIDATES).is_file()):
        return candidates.read(store.find(given, names.CANDIDATES), tokens, settings)
    return candidates.compute(tokens, inputs["target_tokenizer"], given, settings)


def _write(path: Path, config: Config, tokenizer, rows: list[list[int]], measured: list) -> None:
    from lib.tokenization import decode_all

    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "tokens", rows)
        hdf5.write(file, "canary", np.arange(len(rows), dtype="<u4") // config.variations)
        hdf5.write(file, "edit_distance", np.array([m.edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "trained_edit_distance", np.array([m.trained_edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "survives_text", np.array([m.survives_text for m in measured], dtype=bool))
        hdf5.write_texts(file, "text", decode_all(tokenizer, rows))
        file.attrs.update(kind=config.kind, strategy=config.strategy, replaced_tokens=config.replaced_tokens)


if __name__ == "__main__":
    from lib.stage import main

    raise SystemExit(main("duplicates"))
