"""Candidates: what may replace each token of each canary, computed once for every number of replaced tokens.

python -m jobs.candidates --config candidates.yaml --out DIR

    inputs: {canaries: canaries.h5, masked_lm: DIR, target_tokenizer: DIR}
    strategy: mlm          # top_k of the masked LM; mlm_random: its whole vocabulary; random: the target's
    top_k: 10

Writes candidates.h5: `sequences` (target ids of each replacement, ragged), `options` (`mlm`: for each position,
canary by canary, indices into the sequences, likeliest first), `original` and `replaceable` (n x length).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib import hdf5, names, store
from lib.config import execution
from lib.errors import TesseraError

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("masked_lm",)
SLUG = ("strategy",)


@dataclass(frozen=True)
class Config:
    """`top_k` counts for `mlm` only."""

    strategy: Literal["mlm", "mlm_random", "random"] = "mlm"
    top_k: int = 10
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)

    def __post_init__(self) -> None:
        """Refuse a choice among nothing."""
        if min(self.top_k, self.batch_size) < 1:
            raise ValueError(f"top_k {self.top_k}, batch_size {self.batch_size}: at least 1 is wanted")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Compute and write."""
    found = compute(config, inputs)
    print(f"replaceable positions: {found.replaceable.sum()} of {found.replaceable.size}")
    with hdf5.create(out / names.CANDIDATES) as file:
        hdf5.write_ragged(file, "sequences", found.sequences, offsets="sequences_offsets")
        if found.options is not None:
            hdf5.write_ragged(file, "options", found.options, offsets="options_offsets")
        hdf5.write(file, "original", found.original)
        hdf5.write(file, "replaceable", found.replaceable)
        file.attrs.update(strategy=config.strategy, top_k=config.top_k)
        file.attrs["unreplaceable"] = int((~found.replaceable).sum())


def compute(config: Config, inputs: dict[str, Path]):
    """The candidates (lib.replacement.Candidates) of the canaries in `inputs`, by the strategy of `config`."""
    from lib import masked_lm, models

    target = models.load_tokenizer(inputs["target_tokenizer"])
    tokens = hdf5.read(store.find(inputs["canaries"], names.CANARIES), "tokens").astype(np.int64)
    if config.strategy == "random":
        return masked_lm.random_candidates(tokens, masked_lm.target_pool(target), target)
    if "masked_lm" not in inputs:
        raise TesseraError(f"strategy {config.strategy} needs the input masked_lm: a masked LM saved by transformers")
    source = models.load_tokenizer(inputs["masked_lm"])
    pool = masked_lm.vocabulary_pool(source, target)
    if config.strategy == "mlm_random":
        return masked_lm.random_candidates(tokens, pool, target)
    model = models.load_masked_lm(inputs["masked_lm"], config.dtype, config.device)
    return masked_lm.likely_candidates(
        tokens, pool, target, model, source, top_k=config.top_k, batch_size=config.batch_size
    )


def read(path: Path, strategy: str, top_k: int):
    """The candidates in `path`. Raises TesseraError when they were computed by another strategy or top_k."""
    from lib.replacement import Candidates

    made = hdf5.attributes(path)
    if made["strategy"] != strategy or (strategy == "mlm" and made["top_k"] != top_k):
        raise TesseraError(
            f"{path}: computed with strategy {made['strategy']}, top_k {made['top_k']}; "
            f"strategy {strategy}, top_k {top_k} are wanted: compute the candidates again with these"
        )
    options = hdf5.read_ragged(path, "options", "options_offsets") if strategy == "mlm" else None
    sequences = hdf5.read_ragged(path, "sequences", "sequences_offsets")
    return Candidates(sequences, options, hdf5.read(path, "original"), hdf5.read(path, "replaceable"))


if __name__ == "__main__":
    from lib.stage import main

    raise SystemExit(main("candidates"))
