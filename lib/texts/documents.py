"""The documents of text.h5, which the stages `text` and `repeated_text` write: written, and read for training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.base.seeds import generator


@dataclass(frozen=True)
class Document:
    """A text and where it comes from: `name` is a path below site-packages, sometimes with a note."""

    name: str
    text: str


def write_documents(file: h5py.File, name: str, documents: Sequence[Document]) -> None:
    """Store documents: texts `name`, and where they come from as `<name>_names`."""
    hdf5.write_texts(file, name, [document.text for document in documents])
    hdf5.write_texts(file, f"{name}_names", [document.name for document in documents])


def read_shuffled(path: Path, seed: int) -> list[str]:
    """The pre-training documents of a text.h5 in a random order, so that the first ones come from every package.

    Raises TesseraError when there is no text among them.
    """
    texts = hdf5.read_texts(path, "train")
    if not any(texts):
        raise TesseraError(f"{path}: no text in `train`; name more packages in the text stage")
    return [texts[index] for index in generator(seed, "pre-training texts").permutation(len(texts))]


def leading(texts: list[str], characters: int) -> list[str]:
    """The first texts that together have at least `characters`, or all of them."""
    total, kept = 0, []
    for text in texts:
        if total >= characters:
            break
        kept.append(text)
        total += len(text)
    return kept


def millions(documents: Sequence[Document]) -> str:
    """How many million characters the documents have, for a line of output."""
    return f"{sum(len(document.text) for document in documents) / 1e6:.2f}"
