"""prompts.h5: prompts, their true suffixes, and where they come from; one row a prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.prefix.prompts import Window, split

SPELLING = "spelling_sha256"


@dataclass(frozen=True)
class Prompts:
    """prompt (n, P) and suffix (n, S) ids, document (n,), subset (n,) bytes, repetitions (n,), 0 where not known."""

    file: Path
    prompt: NDArray[np.int64]
    suffix: NDArray[np.int64]
    document: NDArray[np.uint64]
    subset: NDArray[np.bytes_]
    repetitions: NDArray[np.uint32]

    def rows(self, part: slice) -> dict[str, NDArray]:
        """Some rows, as datasets."""
        return {
            "prompt": self.prompt[part].astype("<u4"),
            "suffix": self.suffix[part].astype("<u4"),
            "document": self.document[part],
            "subset": self.subset[part],
            "repetitions": self.repetitions[part],
        }


def write(
    path: Path, windows: Sequence[Window], n_prompt: int, n_suffix: int, tokenizer: Any, attributes: dict
) -> None:
    """Write one prompt a window: the `n_prompt` ids before the last `n_suffix` of it."""
    prompt, suffix = split(windows, n_prompt, n_suffix)
    with hdf5.create(path) as file:
        file.attrs.update({**attributes, SPELLING: spelling(tokenizer, prompt, suffix)})
        hdf5.write(file, "prompt", prompt.astype("<u4"))
        hdf5.write(file, "suffix", suffix.astype("<u4"))
        hdf5.write(file, "document", np.array([window.document for window in windows], "<u8"))
        starts = [window.position + len(window.ids) - n_suffix - n_prompt for window in windows]
        hdf5.write(file, "position", np.array(starts, "<u8"))
        hdf5.write(file, "subset", fixed_bytes([window.subset for window in windows]))
        hdf5.write(file, "repetitions", np.array([window.repetitions for window in windows], "<u4"))
        if any(window.file for window in windows):
            hdf5.write(file, "file", fixed_bytes([window.file for window in windows]))
            hdf5.write(file, "in_file", np.array([window.in_file for window in windows], "<u8"))


def fixed_bytes(texts: Sequence[str]) -> NDArray[np.bytes_]:
    """Strings as UTF-8 bytes of one length."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}" if encoded else "S1")


def read(path: Path) -> Prompts:
    """The prompts of a file; `document`, `subset` and `repetitions` are optional in files made elsewhere.

    Raises TesseraError naming file and dataset for no rows, other types, or columns of different lengths.
    """
    prompt, suffix = (_ids(path, name) for name in ("prompt", "suffix"))
    there = hdf5.rows(path)
    n = len(prompt)
    defaults = {"document": np.arange(n, dtype="<u8"), "subset": np.zeros(n, "S1"), "repetitions": np.zeros(n, "<u4")}
    columns = {name: _column(path, name, values) if name in there else values for name, values in defaults.items()}
    wrong = [name for name, values in {"suffix": suffix, **columns}.items() if len(values) != n]
    if wrong:
        raise TesseraError(f"{path}: '{wrong[0]}' does not have the {n} rows of 'prompt'; make the file again")
    return Prompts(path, prompt, suffix, **columns)


def sources(path: Path) -> tuple[list[str], list[int]]:
    """The file that each prompt is from, and which document of it, from 1; "" and 0 where that is not known."""
    n = hdf5.rows(path)["prompt"]
    if "file" not in hdf5.rows(path):
        return [""] * n, [0] * n
    return [name.decode() for name in hdf5.read(path, "file")], hdf5.read(path, "in_file").tolist()


def check_tokenizer(prompts: Prompts, tokenizer: Any) -> None:
    """Raise TesseraError when the ids mean other tokens to this tokenizer than to the one they were made with."""
    made_with = hdf5.attributes(prompts.file).get(SPELLING)
    if made_with is not None and made_with != spelling(tokenizer, prompts.prompt, prompts.suffix):
        raise TesseraError(
            f"{prompts.file}: made with another tokenizer than {tokenizer.name_or_path}; draw the prompts with this "
            "model's own (input `tokenizer` of the prompts stage)"
        )


def spelling(tokenizer: Any, *ids: NDArray[np.integer]) -> str:
    """SHA-256 over the ids that occur and what they stand for: other tokens of the vocabulary do not matter."""
    used = np.unique(np.concatenate([values.ravel() for values in ids])).tolist()
    spelled = zip(used, tokenizer.convert_ids_to_tokens(used), strict=True)
    return hashlib.sha256("\n".join(f"{index} {token!r}" for index, token in spelled).encode()).hexdigest()


def _column(path: Path, name: str, like: NDArray) -> NDArray:
    """A column, of the kind of `like`: bytes of one length, or integers."""
    values = hdf5.read(path, name)
    if values.ndim != 1 or values.dtype.kind not in ("S" if like.dtype.kind == "S" else "iu"):
        wanted = "UTF-8 bytes of one length (numpy's S)" if like.dtype.kind == "S" else "integers"
        raise TesseraError(f"{path}: '{name}' must hold {wanted}, one a row; found {values.dtype} {values.shape}")
    return values


def _ids(path: Path, name: str) -> NDArray[np.int64]:
    ids = hdf5.read(path, name)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or 0 in ids.shape:
        raise TesseraError(
            f"{path}: '{name}' must be a matrix of integers with at least one row; found {ids.dtype} {ids.shape}"
        )
    return ids.astype(np.int64)
