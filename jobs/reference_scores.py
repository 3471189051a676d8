"""Reference scores: the likelihood of every canary under a model that never saw it, computed once and shared.

python -m jobs.reference_scores --config reference.yaml --out DIR

    inputs: {reference: DIR, target_tokenizer: DIR, members: canaries.h5, non_members: canaries.h5}
    bos: <|endoftext|>     # what opens a text; left out: the reference tokenizer's own BOS; "": nothing

Writes reference.h5: for `members` and `non_members` `log_prob_sums` (float64, nats) and `tokens` (how many), each over
the reference model's own tokens, and the hash of the texts, so that they are never taken for those of others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib import evidence, hdf5, names, store
from lib.config import execution
from lib.errors import TesseraError

VERSION = 1
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


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Score both sides, write."""
    from lib import models

    target = models.load_tokenizer(inputs["target_tokenizer"])
    sides = {side: evidence.read_texts(store.find(inputs[side], names.CANARIES)) for side in evidence.SIDES}
    texts = {side: strings(given, target) for side, given in sides.items()}
    files = {side: given.file for side, given in sides.items()}
    with hdf5.create(out / names.REFERENCE) as file:
        for side, (sums, tokens) in compute(config, inputs["reference"], texts, files).items():
            hdf5.write(file, f"{side}/log_prob_sums", sums)
            hdf5.write(file, f"{side}/tokens", tokens.astype("<u4"))
            file[side].attrs["texts_sha256"] = evidence.digest(texts[side])


def strings(texts: evidence.Texts, tokenizer) -> list[str]:
    """The texts of canaries: as stored, else their ids decoded by the target's tokenizer."""
    from lib.tokenization import decode_all

    if texts.strings is not None:
        return texts.strings
    return decode_all(tokenizer, texts.ids)


def compute(
    config: Config, reference: Path, texts: dict[str, list[str]], files: dict[str, Path]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sums of l and numbers of tokens of each side's texts; `files` are named in errors."""
    from lib import likelihoods, models

    tokenizer = models.load_tokenizer(reference)
    model = models.load_causal_lm(reference, config.dtype, likelihoods.device(config.device))
    scored = {}
    for side, given in texts.items():
        with evidence.naming(files[side], " (reference model)"):
            scored[side] = likelihoods.under_reference(model, tokenizer, given, config.batch_size, config.bos)
    return scored


def read(path: Path, texts: dict[str, list[str]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What `compute` gives, from a file. Raises TesseraError when other texts were scored."""
    found = {}
    for side, given in texts.items():
        with hdf5.opened(path) as file:
            made_from = file[side].attrs.get("texts_sha256") if side in file else None
        if made_from != evidence.digest(given):
            raise TesseraError(f"{path}: '{side}' are the scores of other texts; compute the reference scores again")
        found[side] = (hdf5.read(path, f"{side}/log_prob_sums"), hdf5.read(path, f"{side}/tokens"))
    return found


if __name__ == "__main__":
    from lib.stage import main

    raise SystemExit(main("reference_scores"))
