"""Make fuzzy duplicates of each canary.

    python -m jobs duplicates --config FILE --out DIR

FILE holds:

    inputs: {canaries: canaries.h5, target_tokenizer: DIR, candidates: DIR}   # or masked_lm: DIR, the model itself
    kind: replace
    strategy: mlm
    replaced_tokens: 5
    top_k: 10
    variations: 9

A kind is a file in lib/perturbations/. Each takes keys and inputs of its own:

    kind: replace          # some tokens replaced; alone in reading candidates, masked_lm
    kind: insert           # random tokens between n-grams, such as ngram: 5, inserted_tokens: 1
    kind: shuffle          # n-grams in another order, such as ngram: 5, tau: 0.3
    kind: paraphrase       # rephrasings; input paraphrases: paraphrases.h5
    kind: near_duplicates  # windows of a corpus, such as nearest: 1, farthest: 10; inputs near_duplicates:
                           # near_duplicates.h5, corpus: [chunk-00.h5, ...], corpus_tokenizer: DIR

The last two may find fewer than `variations` for a canary. These are then used again from the first; a canary without
any is an error.

Result duplicates.h5, one row per variation, canary by canary: `tokens` and `offsets` (target ids, ragged), `canary`
(row of its canary), `edit_distance` (tokens, to the canary), `survives_text` (whether decode and encode give the
same ids), `trained_edit_distance` (of the ids that the text gives, which a model trains on), `text`; for each canary
`distinct`: how many variations equal neither the canary nor an earlier variation; attribute `repeated`: all others.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import UsageError
from lib.base.progress import Meter
from lib.canaries import canaries_file
from lib.costs.facts import Facts, Given
from lib.perturbations import kinds
from lib.perturbations.settings import Vary

kinds.check_declarations()

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = tuple(kinds.inputs())
LISTS = ("corpus",)
SLUG = ("kind", "level", "seed")
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config(*(kinds.load(name).Keys for name in reversed(kinds.NAMES))):  # type: ignore[misc]  # help shows them in order
    """The keys of all kinds. A key of another kind than `kind` is an error.

    kind: how a variation differs from its canary
    """

    kind: Literal[kinds.NAMES] = kinds.NAMES[0]  # type: ignore[valid-type]

    def __post_init__(self) -> None:
        """Raise ValueError for keys of another kind, missing keys, and counts that are too small."""
        at_least(1, variations=self.variations, batch_size=self.batch_size)
        at_least(0, seed=self.seed)
        kinds.check(self.kind, self)

    @property
    def level(self) -> float:
        """What the kind varies first."""
        return getattr(self, kinds.level_key(self.kind))


def facts(config: Config, given: Given) -> Facts:
    """How many variations of all canaries."""
    return Facts(texts=config.variations * given["canaries"].known("texts"))


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for an input that the kind needs."""
    if hasattr(kind := kinds.load(config.kind), "check_inputs"):
        kind.check_inputs(config, inputs)


def check(config: Config, given: Given) -> None:
    """Raise ValueError, or UsageError, for a level that canaries of their length cannot have."""
    if hasattr(kind := kinds.load(config.kind), "check_length"):
        kind.check_length(config, int(given["canaries"].known("tokens_a_text")))


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Vary each canary, measure, write."""
    from lib.models import loading
    from lib.perturbations.variations import distinct, measure, repeats

    for name, kind in kinds.inputs().items():
        if name in inputs and config.kind != kind:
            raise UsageError(f"kind {config.kind} does not read the input {name}; leave it out")
    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    tokens = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    vary, attempts = _vary(config, inputs, tokens, tokenizer, out)
    made = [distinct(partial(vary, row), canary, config.variations, attempts) for row, canary in enumerate(tokens)]
    repeated = [repeats(canary, rows) for canary, rows in zip(tokens, made)]
    if any(repeated):
        print(f"{sum(repeated)} of {len(made) * config.variations} variations equal their canary or another variation")
    measured = [m for canary, rows in zip(tokens, made) for m in measure(tokenizer, canary, rows)]
    _write(out / places.DUPLICATES, config, tokenizer, [row for rows in made for row in rows], measured, repeated)


def _vary(config: Config, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any, out: Path) -> tuple[Vary, int]:
    """What makes the variations. A kind that computes something for each position of a canary says how far it is."""
    kind = kinds.load(config.kind)
    if not hasattr(kind, "COUNTED"):
        return kind.vary(config, inputs, tokens, tokenizer)
    with Meter(out, tokens.size, kind.COUNTED) as meter:
        return kind.vary(config, inputs, tokens, tokenizer, meter.advance)


def _write(
    path: Path, config: Config, tokenizer: Any, rows: list[list[int]], measured: list, repeated: list[int]
) -> None:
    from lib.tokens.tokenization import decode_all

    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "tokens", rows)
        hdf5.write(file, "canary", np.arange(len(rows), dtype="<u4") // config.variations)
        hdf5.write(file, "edit_distance", np.array([m.edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "trained_edit_distance", np.array([m.trained_edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "survives_text", np.array([m.survives_text for m in measured], dtype=bool))
        hdf5.write_texts(file, "text", decode_all(tokenizer, rows))
        hdf5.write(file, "distinct", config.variations - np.array(repeated, dtype="<u4"))
        file.attrs.update(kind=config.kind, repeated=sum(repeated))
        file.attrs.update({name: getattr(config, name) for name in kinds.keys(config.kind)})
