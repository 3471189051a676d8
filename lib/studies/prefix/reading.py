"""The prefix study as its stages left it on disk, read into arrays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.prefix import prompts_file
from lib.studies.prefix.tables import COLUMNS, OWN, Attack, Texts

EVIDENCE = {
    "large": "log_perplexity_large",
    "small": "log_perplexity_small",
    "lower": "log_perplexity_lower",
    "zlib_bytes": "zlib_bytes",
}
COPIED = ("row", "prompt", "suffix", "document", "subset", "repetitions")
SAME = ("family", "n_parameters", "decoding_kind", "decoding_temperature", "decoding_top_k", "decoding_top_p")


@dataclass(frozen=True)
class Labels:
    """What a sweep says of an attack: the model, how it decoded, of which corpus and draw its prompts are, and how many
    of these were asked for (0: as many as there are)."""

    model: str
    decoding: str = ""
    corpus: str = ""
    draw: int = 0
    asked: int = 0


def read(
    labels: Labels, generations: Sequence[Path], scores: Path, repetitions_known: bool = True,
    prompts: Path | None = None,
) -> Attack:  # fmt: skip
    """The attack on one model: every part of its generations.h5, and prefix_scores.h5.

    prompts: prompts.h5, which may say of which files the prompts are.
    repetitions_known: whether the repetitions of the prompts are in the text that this model was trained on.
    Raises TesseraError naming a file that is damaged or does not belong to the others.
    """
    about = _attributes(generations)
    columns = _columns(generations)
    n, n_prompt = columns["prompt"].shape
    if len(hdf5.read(scores, "row")) != n:
        raise TesseraError(f"{scores}: it is not of the {n} prompts in {generations[0]} and the other parts")
    known = columns["repetitions"].astype(np.int64)
    return Attack(
        model=labels.model, family=str(about["family"]), n_parameters=int(about["n_parameters"]),
        prompt_tokens=n_prompt, suffix_tokens=columns["suffix"].shape[1], decoding=labels.decoding,
        prompts=_digest(columns["prompt"], columns["suffix"]), corpus=np.full(n, labels.corpus),
        draw=np.full(n, labels.draw), asked=np.full(n, labels.asked),
        document=columns["document"].astype(np.int64), subset=np.char.decode(columns["subset"], "utf-8"),
        repetitions=known if repetitions_known else np.zeros_like(known),
        columns={name: columns[name] for name in COLUMNS}, sampling=_sampling(about),
        evidence=_evidence(scores), texts=_texts(scores, prompts),
    )  # fmt: skip


def _attributes(files: Sequence[Path]) -> dict[str, Any]:
    """The attributes of model and decoding, which must be equal in all parts."""
    found = [hdf5.attributes(file) for file in files]
    for file, attributes in zip(files, found):
        missing = [name for name in SAME if name not in attributes]
        if missing:
            raise TesseraError(f"{file}: no attribute '{missing[0]}'; make it with the stage generate")
        differing = [name for name in SAME if attributes[name] != found[0][name]]
        if differing:
            raise TesseraError(f"{file}: '{differing[0]}' differs from {files[0]}; they are not parts of one run")
    return found[0]


def _columns(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """The datasets of all parts in the order of the prompts."""
    parts = [{name: hdf5.read(file, name) for name in (*COPIED, *COLUMNS)} for file in files]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["row"], kind="stable")
    if not np.array_equal(joined["row"][order], np.arange(len(order))):
        raise TesseraError(f"{files[0]} and {len(files) - 1} more do not have every prompt once; give each part once")
    return {name: column[order] for name, column in joined.items()}


def _digest(*ids: np.ndarray) -> str:
    """A digest of prompts and suffixes."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(array, dtype="<i8").tobytes() for array in ids)).hexdigest()


def _sampling(about: dict[str, Any]) -> str:
    """How ids were drawn, in words; "" for greedy decoding."""
    if about["decoding_kind"] == "greedy":
        return ""
    temperature, top_k, top_p = (about[f"decoding_{name}"] for name in ("temperature", "top_k", "top_p"))
    if temperature == 1 and top_k == 0 and top_p == 1:
        return OWN
    cuts = {f"top-k {top_k}": top_k > 0, f"top-p {top_p:g}": top_p < 1}
    return ", ".join([f"temperature {temperature:g}", *(name for name, cut in cuts.items() if cut)])


def _evidence(scores: Path) -> dict[str, np.ndarray]:
    there = hdf5.rows(scores)
    return {name: hdf5.read(scores, dataset) for name, dataset in EVIDENCE.items() if dataset in there}


def _texts(scores: Path, prompts: Path | None) -> Texts:
    prompt, continuation, suffix = (
        hdf5.read_texts(scores, f"{name}_text") for name in ("prompt", "continuation", "suffix")
    )
    whole = hdf5.attributes(scores).get("scored") == "all"
    sample = [before + after for before, after in zip(prompt, continuation)] if whole else continuation
    return Texts(prompt, continuation, suffix, sample, *(prompts_file.sources(prompts) if prompts else ()))
