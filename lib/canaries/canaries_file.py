"""Reads and checks canaries.h5, and identifies a set of canaries."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import TesseraError

SIDES = ("members", "non_members")


@dataclass(frozen=True)
class CanaryTexts:
    """The texts of one file: token ids of the target model (n, length), and the strings where the file has them."""

    file: Path
    ids: NDArray[np.integer]
    strings: list[str] | None


def read_texts(file: Path) -> CanaryTexts:
    """The `tokens` (n, length) and, when it is there, the `text` of a canaries file.

    Raises TesseraError naming the file unless `tokens` is a matrix of integers with rows, and `text` is in UTF-8 as
    `hdf5.write_texts` writes it.
    """
    ids = hdf5.read(file, "tokens")
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise TesseraError(f"{file}: 'tokens' must be a matrix of integers, n x length; found {ids.dtype} {ids.shape}")
    if len(ids) == 0:
        raise TesseraError(f"{file}: 'tokens' has no rows; make the canaries again")
    strings = _strings(file)
    if strings is not None and len(strings) != len(ids):
        raise TesseraError(f"{file}: {len(strings)} rows of 'text' for {len(ids)} of 'tokens'; make the file again")
    return CanaryTexts(file, ids, strings)


def _strings(file: Path) -> list[str] | None:
    there = {name for name in hdf5.rows(file) if name in ("text", "text_offsets")}
    if not there:
        return None
    values = hdf5.read(file, "text")
    if len(there) < 2 or values.dtype != np.uint8 or hdf5.read(file, "text_offsets").dtype.kind not in "iu":
        raise TesseraError(
            f"{file}: 'text' must be UTF-8 bytes (uint8) with 'text_offsets' (integers), where each text begins; leave "
            "both out, and the texts are those of 'tokens'"
        )
    return hdf5.read_texts(file, "text")


def read_ids(file: Path, vocabulary: int) -> NDArray[np.int64]:
    """The `tokens` (n, length) of a canaries file, ids of a tokenizer of `vocabulary` entries.

    Raises TesseraError naming the file and the row for anything else, or for an id outside the vocabulary.
    """
    ids = read_texts(file).ids
    bad = (ids < 0) | (ids >= vocabulary)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TesseraError(
            f"{file}: row {row}: id {ids[row, column]} is outside the {vocabulary} ids of the target tokenizer; "
            "make the canaries with that tokenizer, or name the one they were made with"
        )
    return ids.astype(np.int64)


def read_excluded(file: Path | None, vocabulary: int) -> NDArray[np.int64] | tuple[()]:
    """The `tokens` of the canaries that new ones may not resemble, read by `read_ids`; none if no file is given."""
    return () if file is None else read_ids(file, vocabulary)


@contextmanager
def naming(file: Path, what: str = "") -> Iterator[None]:
    """Turn a ValueError of the block, which names the row, into a TesseraError that names the file as well."""
    try:
        yield
    except ValueError as error:
        raise TesseraError(f"{file}{what}: {error}") from error


def digest(texts: Sequence[str]) -> str:
    """The SHA-256 of a list of strings, in hex: whether two stages have scored the same."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def ids_digest(tokens: NDArray[np.integer]) -> str:
    """12 hex digits of the SHA-256 of token ids: whether two stages were given the same canaries."""
    return hashlib.sha256(np.asarray(tokens, dtype="<i8").tobytes()).hexdigest()[:12]
