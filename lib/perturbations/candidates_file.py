"""Computes the replacement candidates of canaries by a strategy, and stores them, to be read again for every R."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Advance, unheard
from lib.canaries import canaries_file
from lib.models import likelihoods, loading
from lib.perturbations import causal_lm, masked_lm, pools
from lib.perturbations.candidates import ReplacementCandidates, model_input


@dataclass(frozen=True)
class Settings:
    """`strategy`: `mlm` and `clm` (the `top_k` likeliest of a masked or causal language model), `mlm_random` and
    `clm_random` (its whole vocabulary), `random` (the target's vocabulary); `start_token`: opens every text for the
    causal model, None is its BOS; `dtype`, `device`, `batch_size`: how the model runs."""

    strategy: str
    top_k: int
    start_token: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    batch_size: int = 128

    @property
    def likely(self) -> bool:
        """Whether each position has candidates of its own."""
        return self.strategy in ("mlm", "clm")


def compute(
    tokens: np.ndarray, inputs: Mapping[str, Path], settings: Settings, advance: Advance = unheard, context: int = 0
) -> ReplacementCandidates:
    """The candidates of n x L target ids; for `clm` none for the first `context` of each row, which are read alone.

    inputs: directories `target_tokenizer`, and `masked_lm` or `causal_lm` for a strategy with a model; advance: called
    with the positions that are done. Raises UsageError when the strategy needs a model and none is given.
    """
    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    name = model_input(settings.strategy, inputs)
    if name is None:
        return pools.random_candidates(tokens, pools.target_pool(tokenizer), tokenizer)
    given = inputs[name]
    source = loading.load_tokenizer(given)
    pool = pools.vocabulary_pool(source, tokenizer)
    if name == "causal_lm":
        pool = pools.one_id_each(pool)
    if not settings.likely:
        return pools.random_candidates(tokens, pool, tokenizer)
    how: dict[str, Any] = {"top_k": settings.top_k, "batch_size": settings.batch_size, "advance": advance}
    if settings.strategy == "mlm":
        masked = loading.load_masked_lm(given, settings.dtype, settings.device)
        return masked_lm.likely_candidates(tokens, pool, tokenizer, masked, source, **how)
    causal = loading.load_causal_lm(given, settings.dtype, settings.device)
    start = likelihoods.opening(source, settings.start_token)
    if not len(start):
        raise UsageError(f"{given}: its tokenizer has no BOS to open a text with; name a start_token")
    return causal_lm.likely_candidates(tokens, pool, tokenizer, causal, source, int(start[0]), context=context, **how)


def write(path: Path, tokens: np.ndarray, found: ReplacementCandidates, settings: Settings) -> None:
    """Store the candidates of `tokens`, with what they were computed from."""
    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "sequences", found.sequences, offsets="sequences_offsets")
        if found.options is not None:
            hdf5.write_ragged(file, "options", found.options, offsets="options_offsets")
        hdf5.write(file, "original", found.original)
        hdf5.write(file, "replaceable", found.replaceable)
        file.attrs["unreplaceable"] = int((~found.replaceable).sum())
        file.attrs.update(_origin(tokens, settings))


def read(path: Path, tokens: np.ndarray, settings: Settings) -> ReplacementCandidates:
    """The candidates of `tokens` in `path`. Raises TesseraError when they belong to other canaries or settings."""
    stored = hdf5.attributes(path)
    for name, value in _origin(tokens, settings).items():
        if stored.get(name) != value:
            raise TesseraError(f"{path}: computed for {name} {stored.get(name)}, not {value}; compute them again")
    options = hdf5.read_ragged(path, "options", "options_offsets") if settings.likely else None
    sequences = hdf5.read_ragged(path, "sequences", "sequences_offsets")
    return ReplacementCandidates(sequences, options, hdf5.read(path, "original"), hdf5.read(path, "replaceable"))


def _origin(tokens: np.ndarray, settings: Settings) -> dict[str, str | int]:
    origin: dict[str, str | int] = {"strategy": settings.strategy}
    if settings.likely:
        origin["top_k"] = settings.top_k
    return origin | {"canaries": canaries_file.ids_digest(tokens)}
