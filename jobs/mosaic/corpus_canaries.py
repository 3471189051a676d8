"""Canaries out of a real corpus: targets that have near-duplicates in every band of distance.

python -m jobs corpus_canaries --config canaries.yaml --out DIR

    inputs:
      targets: targets.h5                  # of the stage targets
      near_duplicates: near_duplicates.h5  # of the same targets
      corpus_tokenizer: DIR                # whose ids these are
      target: DIR                          # the tokenizer of the model to be fine-tuned
      exclude: canaries.h5                 # canaries that these may not resemble (non-members: the members)
    role: member
    n: 50
    length: 100
    band_ends: [10, 20, 30, 40, 50]

A canary is the beginning of a target's text, `length` ids of the target tokenizer, under the rules of the stage
canaries. Members and non-members are drawn from the same targets in one random order, members first: they differ by
chance, and by non-members resembling none of the members, which selects a little. Only members are injected. Writes
canaries.h5: `tokens` (n x length, uint32), `text`, `draw`, and `target` (row in targets.h5), for the stage duplicates
of kind near_duplicates.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.perturbations.near_duplicates import bands, eligible

VERSION = 1
INPUTS = ("targets", "near_duplicates", "corpus_tokenizer", "target")
OPTIONAL_INPUTS = ("exclude",)
SLUG = ("role", "seed")
IMPORTS_TORCH = True

OWN_REMEDIES = {  # where those of the stage canaries name keys of that stage
    "too_short": "lower length: targets of the corpus have no more ids of this tokenizer",
    "overlap": "raise max_jaccard, draw more targets (n_per_bucket), or ask for fewer canaries",
}


@dataclass(frozen=True)
class Config:
    """`metric`: that of the distance; `band_ends`: upper ends of its bands, the first of which begins at 1;
    `max_jaccard`, `separator`: as in the stage canaries."""

    seed: int = 0
    role: Literal["member", "non_member"] = "member"
    n: int = 50
    length: int = 100
    metric: Literal["levenshtein", "hamming"] = "levenshtein"
    band_ends: tuple[int, ...] = (10, 20, 30, 40, 50)
    max_jaccard: float = 0.2
    separator: str = "\n"

    def __post_init__(self) -> None:
        """Refuse what could never give a canary."""
        if min(self.n, self.length) < 1 or self.seed < 0 or not 0 < self.max_jaccard <= 1:
            raise ValueError(
                f"n {self.n}, length {self.length}, seed {self.seed}, max_jaccard {self.max_jaccard}: wanted n and "
                "length >= 1, seed >= 0, 0 < max_jaccard <= 1"
            )
        bands(self.band_ends)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Put the eligible targets in a random order, keep the first n that obey the rules, write."""
    from lib.canaries.selection import REMEDIES, Rules, select
    from lib.models import loading
    from lib.tokens.tokenization import decode_all

    target = loading.load_tokenizer(inputs["target"])
    order = _order(config, inputs)
    ids = hdf5.read(store.find(inputs["targets"], places.TARGETS), "tokens")[order]
    texts = decode_all(loading.load_tokenizer(inputs["corpus_tokenizer"]), ids)
    excluded = hdf5.read(store.find(inputs["exclude"], places.CANARIES), "tokens") if "exclude" in inputs else ()
    selection = select(
        lambda indices: [texts[index] for index in indices], config.n, target,
        Rules(config.length, config.max_jaccard, config.separator), excluded=excluded, max_draws=len(texts),
        batch_size=len(texts), remedies={**REMEDIES, **OWN_REMEDIES},
    )  # fmt: skip
    print(f"{config.n} canaries of {len(order)} targets with all bands; rejected: {selection.rejections}")
    with hdf5.create(out / places.CANARIES) as file:
        hdf5.write(file, "tokens", np.array(selection.tokens, dtype="<u4"))
        hdf5.write(file, "draw", np.array(selection.draws, dtype="<u4"))
        hdf5.write(file, "target", order[selection.draws].astype("<u4"))
        hdf5.write_texts(file, "text", decode_all(target, selection.tokens))
        file.attrs.update(role=config.role, eligible=len(order))


def _order(config: Config, inputs: dict[str, Path]) -> np.ndarray:
    """The eligible targets in an order of the seed, the same for both roles."""
    path = store.find(inputs["near_duplicates"], places.NEAR_DUPLICATES)
    near = {name: hdf5.read(path, f"{config.metric}/{name}") for name in ("target", "distance")}
    found = eligible(near, bands(config.band_ends))
    if len(found) < config.n:
        raise TesseraError(
            f"{path}: {len(found)} targets have near-duplicates in every band up to {list(config.band_ends)}, "
            f"{config.n} canaries are wanted; draw more targets (n_per_bucket), or name fewer bands"
        )
    return generator(config.seed, "targets as canaries").permutation(found)
