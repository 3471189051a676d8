"""Scores texts under a reference model, once, and reads the stored scores for every target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from lib.attacks import padding
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.base.progress import Advance, divided, unheard
from lib.canaries import canaries_file
from lib.canaries.canaries_file import CanaryTexts


@dataclass(frozen=True)
class Settings:
    """`bos` opens each text (None: the tokenizer's own by `bos_policy`, see `tokenization.bos_id`); dtype, device
    (`auto`: a GPU where there is one) and batch_size: how the reference model runs."""

    bos: str | None = None
    dtype: str = "float32"
    batch_size: int = 32
    device: str = "auto"
    bos_policy: Literal["document", "tokenizer", "none"] = "document"


@dataclass(frozen=True)
class Scored:
    """One side under a reference: sums of l and numbers of its own tokens, (n,) each; l of the padding token of
    published code, (n,), where its tokenizer has one; and, where its tokenizer is the target's, rows of l of the stored
    ids."""

    sums: np.ndarray
    tokens: np.ndarray
    padding: np.ndarray | None = None
    log_probs: list[np.ndarray] | None = None

    @property
    def means(self) -> dict[str, np.ndarray]:
        """The evidence that an attack reads: reference_means and, where published code would count a padding token,
        reference_padded_means."""
        found = {"reference_means": self.sums / self.tokens}
        if self.padding is None:
            return found
        return {**found, "reference_padded_means": padding.means(self.sums, self.tokens, self.padding)}


def strings(texts: CanaryTexts, tokenizer: Any) -> list[str]:
    """The texts of canaries: as stored, else their ids decoded by the target's tokenizer."""
    from lib.tokens.tokenization import decode_all

    if texts.strings is not None:
        return texts.strings
    return decode_all(tokenizer, texts.ids)


def compute(
    settings: Settings,
    reference: Path,
    target: Any,
    sides: Mapping[str, CanaryTexts],
    texts: dict[str, list[str]],
    advance: Advance = unheard,
) -> dict[str, Scored]:
    """Both sides under the model of the directory `reference`; `target`: the tokenizer of the stored ids.

    advance: called with the texts that are done; half a text where its stored ids are scored as well.
    """
    from lib.models import likelihoods, loading
    from lib.tokens.tokenization import same_ids

    tokenizer = loading.load_tokenizer(reference)
    model = loading.load_causal_lm(reference, settings.dtype, loading.device(settings.device))
    comparable, scored = same_ids(tokenizer, target), {}
    passed = divided(advance, 1 + comparable)
    for side, given in sides.items():
        with canaries_file.naming(given.file, " (reference model)"):
            first = likelihoods.opening(tokenizer, settings.bos, settings.bos_policy)
            sums = likelihoods.under_reference(model, tokenizer, texts[side], settings.batch_size, first, passed)
            rows = None
            if comparable:
                rows = likelihoods.of_ids(model, given.ids, first, settings.batch_size, passed)
            scored[side] = Scored(*sums, rows)
    return scored


def read(path: Path, texts: dict[str, list[str]]) -> dict[str, Scored]:
    """What `compute` gives, from a file. Raises TesseraError when other texts were scored."""
    found = {}
    for side, given in texts.items():
        with hdf5.opened(path) as file:
            made_from = file[side].attrs.get("texts_sha256") if side in file else None
        if made_from != canaries_file.digest(given):
            raise TesseraError(f"{path}: '{side}' holds the scores of other texts; compute the reference scores again")
        found[side] = _read(path, side)
    return found


def write(group: h5py.Group, scored: Scored) -> None:
    """Write what `read` reads into the group of a side."""
    hdf5.write(group, "log_prob_sums", scored.sums)
    hdf5.write(group, "tokens", scored.tokens.astype("<u4"))
    if scored.padding is not None:
        hdf5.write(group, "padding_log_probs", scored.padding)
    if scored.log_probs is not None:
        hdf5.write_ragged(group, "log_probs", scored.log_probs, "log_probs_offsets", "<f4")


def _read(path: Path, side: str) -> Scored:
    names = hdf5.rows(path)
    after, rows = f"{side}/padding_log_probs", f"{side}/log_probs"
    return Scored(
        hdf5.read(path, f"{side}/log_prob_sums"),
        hdf5.read(path, f"{side}/tokens"),
        hdf5.read(path, after) if after in names else None,
        hdf5.read_ragged(path, rows, f"{rows}_offsets") if rows in names else None,
    )
