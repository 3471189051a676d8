"""Reference scores: the likelihood of every canary under a model that never saw it, computed once and shared.

python -m jobs.reference_scores --config reference.yaml --out DIR

    inputs: {reference: DIR, target_tokenizer: DIR, members: canaries.h5, non_members: canaries.h5}
    bos: <|endoftext|>     # what opens a text; left out: the reference tokenizer's own BOS; "": nothing

Writes reference.h5: for `members` and `non_members` `log_prob_sums` (float64, nats) and `tokens` (how many), each over
the reference model's own tokens, and the hash of the texts, so that they are never taken for those of others. Where
the reference has the target's tokenizer (the target before fine-tuning), `log_probs` and `log_probs_offsets` as well:
rows of l of the stored ids themselves, which the attacks that compare token by token need.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib import evidence, hdf5, names, store
from lib.config import execution
from lib.errors import TesseraError

VERSION = 2
INPUTS = ("reference", "members", "non_members", "target_tokenizer")
SLUG = ()
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """`bos` opens each text (None: the tokenizer's own, where it has one); `device`: cpu, cuda, cuda:1, ... or auto."""

    bos: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(32)
    device: str = execution("auto")


@dataclass(frozen=True)
class Scored:
    """One side under a reference: sums of l and numbers of its own tokens, (n,) each; and, where its tokenizer is the
    target's, rows of l of the stored ids."""

    sums: np.ndarray
    tokens: np.ndarray
    log_probs: list[np.ndarray] | None = None


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Score both sides, write."""
    from lib import models

    target = models.load_tokenizer(inputs["target_tokenizer"])
    sides = {side: evidence.read_texts(store.find(inputs[side], names.CANARIES)) for side in evidence.SIDES}
    texts = {side: strings(given, target) for side, given in sides.items()}
    with hdf5.create(out / names.REFERENCE) as file:
        for side, scored in compute(config, inputs["reference"], target, sides, texts).items():
            hdf5.write(file, f"{side}/log_prob_sums", scored.sums)
            hdf5.write(file, f"{side}/tokens", scored.tokens.astype("<u4"))
            file[side].attrs["texts_sha256"] = evidence.digest(texts[side])
            if scored.log_probs is not None:
                hdf5.write_ragged(file[side], "log_probs", scored.log_probs, "log_probs_offsets", "<f4")


def strings(texts: evidence.Texts, tokenizer) -> list[str]:
    """The texts of canaries: as stored, else their ids decoded by the target's tokenizer."""
    from lib.tokenization import decode_all

    if texts.strings is not None:
        return texts.strings
    return decode_all(tokenizer, texts.ids)


def compute(
    config: Config, reference: Path, target, sides: dict[str, evidence.Texts], texts: dict[str, list[str]]
) -> dict[str, Scored]:
    """Both sides under the model of the directory `reference`; `target`: the tokenizer of the stored ids."""
    from lib import likelihoods, models

    tokenizer = models.load_tokenizer(reference)
    model = models.load_causal_lm(reference, config.dtype, likelihoods.device(config.device))
    scored = {}
    for side, given in sides.items():
        with evidence.naming(given.file, " (reference model)"):
            sums = likelihoods.under_reference(model, tokenizer, texts[side], config.batch_size, config.bos)
            scored[side] = Scored(*sums, _rows(config, model, tokenizer, target, given.ids))
    return scored


def _rows(config: Config, model, tokenizer, target, ids: np.ndarray) -> list[np.ndarray] | None:
    from lib import likelihoods
    from lib.tokenization import same_ids

    if not same_ids(tokenizer, target):
        return None
    return likelihoods.of_ids(model, ids, likelihoods.opening(tokenizer, config.bos), config.batch_size)


def read(path: Path, texts: dict[str, list[str]]) -> dict[str, Scored]:
    """What `compute` gives, from a file. Raises TesseraError when other texts were scored."""
    found = {}
    for side, given in texts.items():
        with hdf5.opened(path) as file:
            made_from = file[side].attrs.get("texts_sha256") if side in file else None
        if made_from != evidence.digest(given):
            raise TesseraError(f"{path}: '{side}' are the scores of other texts; compute the reference scores again")
        there = f"{side}/log_probs" in hdf5.rows(path)
        rows = hdf5.read_ragged(path, f"{side}/log_probs", f"{side}/log_probs_offsets") if there else None
        found[side] = Scored(hdf5.read(path, f"{side}/log_prob_sums"), hdf5.read(path, f"{side}/tokens"), rows)
    return found


if __name__ == "__main__":
    from lib.stage import main

    raise SystemExit(main("reference_scores"))
