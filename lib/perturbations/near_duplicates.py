"""Fuzzy duplicates that are near-duplicates in a corpus.

A canary is the beginning of a target (see the stage corpus_canaries). Its duplicates are windows at some distance of
that target, taken in random order and cut to the canary's length.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError, UsageError
from lib.base.seeds import generator
from lib.corpus import chunks
from lib.perturbations.settings import Settings, Vary
from lib.perturbations.stored import in_turn

LEVEL = "edits up to d"
NAME = "near-duplicates of a corpus"
PHRASE = "a near-duplicate that a corpus holds"
INPUTS = ("near_duplicates", "corpus", "corpus_tokenizer")

Band = tuple[int, int]  # the least and the largest distance


@dataclass(frozen=True)
class Keys(Settings):
    """A band of distance to the target, in tokens of the corpus.

    farthest: the largest distance
    nearest: the least distance
    metric: which distance
    """

    farthest: int | None = None
    nearest: int | None = None
    metric: Literal["levenshtein", "hamming"] = "levenshtein"


def check(keys: Keys) -> None:
    """Raise ValueError for a band that holds no distance."""
    at_least(1, nearest=keys.nearest)
    if keys.farthest < keys.nearest:
        raise ValueError(f"nearest is {keys.nearest} and farthest {keys.farthest}; farthest must not be smaller")


def check_inputs(keys: Keys, inputs: Collection[str]) -> None:
    """Raise UsageError for an input that is not given."""
    if missing := [name for name in INPUTS if name not in inputs]:
        raise UsageError(f"kind near_duplicates needs the input {missing[0]}; give that of its targets")


def vary(keys: Keys, inputs: dict[str, Any], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    """The near-duplicates of each canary's target in turn. Raises TesseraError for a canary that has none."""
    from lib.models import loading
    from lib.tokens.tokenization import decode_all, encode_all

    windows = _windows(keys, inputs, chunks.open_chunks(inputs["corpus"]))
    corpus_tokenizer = loading.load_tokenizer(inputs["corpus_tokenizer"])
    found = [
        [ids[: len(canary)] for ids in encode_all(tokenizer, decode_all(corpus_tokenizer, rows))]
        for canary, rows in zip(tokens, windows)
    ]
    return in_turn(found, keys.variations, "near-duplicates")


def in_band(near: Mapping[str, np.ndarray], band: Band) -> dict[int, np.ndarray]:
    """Target -> the rows of its near-duplicates whose distance lies in `band`, in their order: int64.

    near: columns `target` and `distance` (n,).
    """
    rows = np.flatnonzero((near["distance"] >= band[0]) & (near["distance"] <= band[1]))
    targets = np.asarray(near["target"])[rows]
    return {int(target): rows[targets == target] for target in np.unique(targets)}


def eligible(near: Mapping[str, np.ndarray], bands: Sequence[Band]) -> np.ndarray:
    """The targets that have a near-duplicate in every band, increasing: int64. All bands compare the same canaries."""
    sets = [set(in_band(near, band)) for band in bands]
    return np.array(sorted(set.intersection(*sets)), dtype=np.int64)


def bands(edges: Sequence[int]) -> list[Band]:
    """(1, e1), (e1 + 1, e2), ...: [10, 20] is 1-10 and 11-20. Raises ValueError unless edges rise from 1 on."""
    lows = [1, *(edge + 1 for edge in edges[:-1])]
    found = list(zip(lows, edges))
    if not found or any(low > high for low, high in found):
        raise ValueError(f"the upper ends of bands are {list(edges)}; they must rise, from 1 on")
    return found


def _windows(keys: Keys, inputs: dict[str, Any], corpus: list) -> list[list[list[int]]]:
    """For each canary up to `variations` windows of the corpus in the band, in random order: ids of the corpus."""
    path = store.find(inputs["near_duplicates"], places.NEAR_DUPLICATES)
    near = {name: hdf5.read(path, f"{keys.metric}/{name}") for name in ("target", "chunk", "position", "distance")}
    length, band = int(hdf5.attributes(path)["length"]), in_band(near, (keys.nearest, keys.farthest))
    targets = _targets(store.find(inputs["canaries"], places.CANARIES))
    if none := [row for row, target in enumerate(targets) if target not in band]:
        raise TesseraError(
            f"{path}: no near-duplicate at {keys.nearest} to {keys.farthest} of canaries {none}; add this band to "
            "band_ends of the canaries"
        )
    chosen = [
        generator(keys.seed, "near-duplicates", target).permutation(band[target])[: keys.variations]
        for target in targets
    ]
    used = np.concatenate(chosen)
    chunks.check_windows(corpus, near["chunk"][used], near["position"][used], length)
    return [chunks.windows(corpus, near["chunk"][rows], near["position"][rows], length).tolist() for rows in chosen]


def _targets(canaries: Path) -> list[int]:
    if "target" not in hdf5.rows(canaries):
        raise TesseraError(f"{canaries}: these canaries have no targets; make them with the stage corpus_canaries")
    return hdf5.read(canaries, "target").tolist()
