"""Computes the replacement candidates of canaries by a strategy, and stores them, to be read again for every R."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Advance, unheard
from lib.canaries import canaries_file
from lib.models import loading
from lib.perturbations import masked_lm
from lib.perturbations.candidates import ReplacementCandidates


@dataclass(frozen=True)
class Settings:
    """`strategy`: `mlm` (the `top_k` likeliest of the masked LM), `mlm_random` (its whole vocabulary), `random`
    (the target's vocabulary); `dtype`, `device`, `batch_size`: how the masked LM runs."""

    strategy: str
    top_k: int
    dtype: str = "float32"
    device: str = "cpu"
    batch_size: int = 128


def compute(
    tokens: np.ndarray, target: Path, masked: Path | None, settings: Settings, advance: Advance = unheard
) -> ReplacementCandidates:
    """The candidates of n x L target ids. target, masked: directories of the target's tokenizer and the masked LM.

    Raises UsageError when the strategy needs a masked LM and none is given.
    """
    tokenizer = loading.load_tokenizer(target)
    if settings.strategy == "random":
        return masked_lm.random_candidates(tokens, masked_lm.target_pool(tokenizer), tokenizer)
    if masked is None:
        raise UsageError(f"strategy {settings.strategy} needs the input masked_lm; give one saved by transformers")
    source = loading.load_tokenizer(masked)
    pool = masked_lm.vocabulary_pool(source, tokenizer)
    if settings.strategy == "mlm_random":
        return masked_lm.random_candidates(tokens, pool, tokenizer)
    model = loading.load_masked_lm(masked, settings.dtype, settings.device)
    return masked_lm.likely_candidates(
        tokens, pool, tokenizer, model, source, top_k=settings.top_k, batch_size=settings.batch_size, advance=advance
    )


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
    options = hdf5.read_ragged(path, "options", "options_offsets") if settings.strategy == "mlm" else None
    sequences = hdf5.read_ragged(path, "sequences", "sequences_offsets")
    return ReplacementCandidates(sequences, options, hdf5.read(path, "original"), hdf5.read(path, "replaceable"))


def _origin(tokens: np.ndarray, settings: Settings) -> dict[str, str | int]:
    origin: dict[str, str | int] = {"strategy": settings.strategy}
    if settings.strategy == "mlm":
        origin["top_k"] = settings.top_k
    return origin | {"canaries": canaries_file.ids_digest(tokens)}
