"""Take canaries from a real corpus: targets that have near-duplicates in every band of distance.

    python -m jobs corpus_canaries --config FILE --out DIR

FILE holds:

    inputs:
      targets: targets.h5                  # of the stage targets
      near_duplicates: near_duplicates.h5  # of the same targets
      corpus_tokenizer: DIR                # the tokenizer of the corpus, whose ids these are
      target: DIR                          # the tokenizer of the model that will be fine-tuned
      exclude: canaries.h5                 # canaries that these may not resemble (for non-members: the members)
    role: member
    n: 50
    length: 100
    band_ends: [10, 20, 30, 40, 50]

A canary is the beginning of a target's text: `length` ids of the target tokenizer, under the rules of the stage
canaries. Members and non-members are drawn from the same targets in one random order, members first. So they differ
by chance, except that non-members may not resemble members, which selects a little. Only members are injected.

Result canaries.h5: `tokens` (n x length, uint32), `text`, `draw`, and `target` (row in targets.h5), which the stage
duplicates reads for kind near_duplicates; attributes `role`, `eligible`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.canaries import canaries_file
from lib.costs.facts import Facts, Given
from lib.perturbations.near_duplicates import bands, eligible

VERSION = 1
INPUTS = ("targets", "near_duplicates", "corpus_tokenizer", "target")
OPTIONAL_INPUTS = ("exclude",)
SLUG = ("role", "seed")
IMPORTS_TORCH = True

OWN_REMEDIES = {  # in place of those that name keys of the stage canaries
    "too_short": "lower length: targets of the corpus have no more ids of this tokenizer",
    "overlap": "raise max_jaccard, draw more targets (n_per_bucket), or ask for fewer canaries",
}


@dataclass(frozen=True)
class Config:
    """How many canaries, and what each must be.

    seed: the seed of the order of the targets, the same for members and non-members
    role: `member` canaries are injected into the training text, `non_member` canaries are not
    n: how many canaries
    length: tokens of a canary, in ids of the target tokenizer
    metric: the distance of the bands
    band_ends: the upper ends of the bands, rising; the first band begins at 1, each later one above the end before
    max_jaccard: two canaries must have token sets with a Jaccard similarity below this, above 0 and at most 1
    separator: what the stage inject will put around a canary; the ids of the canary must survive it; "" skips the check
    """

    seed: int = 0
    role: Literal["member", "non_member"] = "member"
    n: int = 50
    length: int = 100
    metric: Literal["levenshtein", "hamming"] = "levenshtein"
    band_ends: tuple[int, ...] = (10, 20, 30, 40, 50)
    max_jaccard: float = 0.2
    separator: str = "\n"

    def __post_init__(self) -> None:
        """Raise ValueError for settings that cannot give a canary."""
        at_least(1, n=self.n, length=self.length)
        at_least(0, seed=self.seed)
        if not 0 < self.max_jaccard <= 1:
            raise ValueError(f"max_jaccard is {self.max_jaccard}; it must be above 0 and at most 1")
        bands(self.band_ends)


def facts(config: Config, given: Given) -> Facts:
    """How many texts, of how many tokens."""
    return Facts(texts=config.n, tokens_a_text=config.length)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Put the eligible targets in a random order, keep the first n that obey the rules, write."""
    from lib.canaries.selection import REMEDIES, Rules, select
    from lib.models import loading
    from lib.tokens.tokenization import decode_all

    target = loading.load_tokenizer(inputs["target"])
    order = _order(config, inputs)
    ids = hdf5.read(store.find(inputs["targets"], places.TARGETS), "tokens")[order]
    texts = decode_all(loading.load_tokenizer(inputs["corpus_tokenizer"]), ids)
    exclude = inputs.get("exclude") and store.find(inputs["exclude"], places.CANARIES)
    selection = select(
        lambda indices: [texts[index] for index in indices], config.n, target,
        Rules(config.length, config.max_jaccard, config.separator),
        excluded=canaries_file.read_excluded(exclude, len(target)),
        max_draws=len(texts), batch_size=len(texts), remedies={**REMEDIES, **OWN_REMEDIES},
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
            f"{path}: only {len(found)} targets have near-duplicates in every band up to {list(config.band_ends)}, "
            f"but n is {config.n}; draw more targets (n_per_bucket), name fewer bands, or lower n"
        )
    return generator(config.seed, "targets as canaries").permutation(found)
