"""audited.h5: the texts of an audit, their token ids, and which characters each token stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.prefix.prompts_file import SPELLING, spelling

MEMBER, NON_MEMBER, UNKNOWN = 1, 0, -1
NAMES = ("text", "name", "group")
LAYOUT = "layout"  # an attribute


@dataclass(frozen=True)
class AuditedTexts:
    """Lists with an entry for each text.

    ids: (tokens,); characters: (tokens, 2), half open, of each token in the text; label: MEMBER, NON_MEMBER or UNKNOWN,
    (texts,); group: the document, author or collection that a text belongs to, "" if it stands alone; layout: of the
    data sets by whose columns texts were read (lib/texts/layouts.py), "" if none was recognised.
    """

    text: Sequence[str]
    name: Sequence[str]
    group: Sequence[str]
    label: NDArray[np.int8]
    ids: Sequence[NDArray[np.int64]]
    characters: Sequence[NDArray[np.int64]]
    layout: str = ""

    def lengths(self) -> list[int]:
        """The tokens of each text."""
        return [len(row) for row in self.ids]


def write(path: Path, texts: AuditedTexts, tokenizer: Any) -> None:
    """Write the texts, and what their ids stand for in the tokenizer that made them."""
    with hdf5.create(path) as file:
        file.attrs[SPELLING] = spelling(tokenizer, *texts.ids)
        if texts.layout:
            file.attrs[LAYOUT] = texts.layout
        for name in NAMES:
            hdf5.write_texts(file, name, getattr(texts, name))
        hdf5.write(file, "label", texts.label)
        hdf5.write_ragged(file, "ids", texts.ids)
        hdf5.write(file, "characters", np.concatenate(texts.characters).astype("<u4"))


def read(path: Path) -> AuditedTexts:
    """What `write` stored. Raises TesseraError naming file and dataset for what is not such a file."""
    ids = [row.astype(np.int64) for row in hdf5.read_ragged(path, "ids")]
    characters = hdf5.read(path, "characters").astype(np.int64)
    cuts = np.cumsum([len(row) for row in ids])[:-1]
    strings = {name: hdf5.read_texts(path, name) for name in NAMES}
    return AuditedTexts(
        **strings,
        label=hdf5.read(path, "label"),
        ids=ids,
        characters=np.split(characters, cuts),
        layout=str(hdf5.attributes(path).get(LAYOUT, "")),
    )


def check_tokenizer(path: Path, texts: AuditedTexts, tokenizer: Any) -> None:
    """Raise TesseraError when the ids mean other tokens to this tokenizer than to the one that made them."""
    if hdf5.attributes(path).get(SPELLING) != spelling(tokenizer, *texts.ids):
        raise TesseraError(
            f"{path}: made with another tokenizer than {tokenizer.name_or_path}; read the texts with this model's own "
            "(input `tokenizer` of the stage audit_texts)"
        )


def passage(texts: AuditedTexts, number: int, begin: int, end: int) -> str:
    """The characters of text `number` that its tokens from `begin` to before `end` stand for."""
    if begin == end:
        return ""
    of = texts.characters[number]
    return texts.text[number][of[begin, 0] : of[end - 1, 1]]


def between(texts: AuditedTexts, number: int, begin: int, end: int) -> str:
    """The characters from the beginning of token `begin` to that of token `end`, or to the end of the text: stretches
    that follow each other join to the text."""
    if begin >= end:
        return ""
    of, text = texts.characters[number], texts.text[number]
    stop = of[end, 0] if end < len(of) else len(text)
    return text[of[begin, 0] : stop]
