"""Measure how far each fuzzy duplicate lies from its canary, by several measures.

    python -m jobs distances --config FILE --out DIR

FILE holds:

    inputs: {canaries: canaries.h5, duplicates: duplicates.h5, target_tokenizer: DIR}

A duplicate is measured as the ids that its text gives, because a model trains on these.

Result distances.h5, one row per variation in the order of duplicates.h5: `canary` (row of its canary) and a float64
dataset for each measure of lib.perturbations.distances. NaN means undefined: n-grams of a sequence that is shorter.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.canaries import canaries_file
from lib.perturbations import distances

VERSION = 2
INPUTS = ("canaries", "duplicates", "target_tokenizer")
SLUG = ()
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """It has no keys: every measure is taken."""


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Measure every variation, write."""
    from lib.models import loading
    from lib.tokens.tokenization import encode_all

    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    canaries = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer)).tolist()
    path = store.find(inputs["duplicates"], places.DUPLICATES)
    owners, rows = hdf5.read(path, "canary"), encode_all(tokenizer, hdf5.read_texts(path, "text"))
    _check(path, canaries, owners, rows)
    with hdf5.create(out / places.DISTANCES) as file:
        hdf5.write(file, "canary", owners)
        for name, measure in distances.MEASURES.items():
            hdf5.write(file, name, np.array([measure(canaries[owner], ids) for owner, ids in zip(owners, rows)]))


def _check(path: Path, canaries: list[list[int]], owners: np.ndarray, rows: list[list[int]]) -> None:
    """Raise TesseraError for duplicates of other canaries: the distance that was measured then must come out again."""
    recorded = hdf5.read(path, "trained_edit_distance")
    for row, (owner, ids, distance) in enumerate(zip(owners, rows, recorded)):
        if owner >= len(canaries) or distances.levenshtein(canaries[owner], ids) != distance:
            raise TesseraError(
                f"{path}: row {row} is not a variation of canary {owner}; give the canaries that it was made from"
            )
