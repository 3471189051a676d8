"""Cut given texts, such as those of a benchmark, into windows that can be sought in a corpus.

    python -m jobs text_windows --config FILE --out DIR

FILE holds:

    inputs: {corpus: DIR, tokenizer: DIR}   # corpus: a result of the stage corpus, or text files
    length: 100

The windows of a text stand one behind another; the last one ends where the text does. A text of fewer tokens has none,
and a window of few different tokens (a table, a row of blanks) is left out.

Result targets.h5, which the stage near_duplicates reads: `tokens` (n x length), `text` (uint32, number of the text of
each window), `position` (uint64, of its first token in the text), `text_tokens` (uint64, of each text), and the texts
`names` (file and number of the document in it, from 1).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError, counted
from lib.corpus import chunks
from lib.texts import listing, text_files
from lib.texts.listing import Listing

VERSION = 1
INPUTS = ("corpus", "tokenizer")
SLUG = ("length",)


@dataclass(frozen=True)
class Config:
    """What a window is.

    length: tokens of a window
    min_unique_tokens: how many different tokens a window must have
    text_key: the field that holds the text; null takes the one that the files were listed with
    """

    length: int = 100
    min_unique_tokens: int = 1
    text_key: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for empty windows, and for more different tokens than they have."""
        at_least(1, length=self.length, min_unique_tokens=self.min_unique_tokens)
        if self.min_unique_tokens > self.length:
            raise ValueError(f"min_unique_tokens is {self.min_unique_tokens}; a window has {self.length} tokens")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Encode the texts, cut them, write the windows. Raises TesseraError when no text is long enough."""
    from lib.models import loading
    from lib.tokens.encoders import Original, encode_large

    files = listing.open_input(inputs["corpus"])
    names, texts = zip(*_texts(files, config.text_key or files.text_key), strict=True)
    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    rows = [np.asarray(row) for row in encode_large(tokenizer, texts)]
    windows, text, position = _windows(rows, config)
    with hdf5.create(out / places.TARGETS) as file:
        hdf5.write(file, "tokens", windows.astype(chunks.token_dtype(Original(tokenizer).vocab_size)))
        hdf5.write(file, "text", text.astype("<u4"))
        hdf5.write(file, "position", position.astype("<u8"))
        hdf5.write(file, "text_tokens", np.array(list(map(len, rows)), "<u8"))
        hdf5.write_texts(file, "names", list(names))
        file.attrs["length"] = config.length
    print(f"{counted(len(windows), 'window')} of {len(np.unique(text))} of {counted(len(rows), 'text')}")


def _windows(rows: list[np.ndarray], config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The windows of all texts (n x length), the number of the text of each, and where it begins there (n,)."""
    from lib.corpus import targets

    starts = [window_starts(len(row), config.length) for row in rows]
    listed = [row[at : at + config.length] for row, some in zip(rows, starts) for at in some]
    windows = np.array(listed, np.uint32).reshape(-1, config.length)
    rich = targets.unique_tokens(windows) >= config.min_unique_tokens
    if not rich.any():
        raise TesseraError(
            f"none of {len(rows)} texts has a window of {config.length} tokens, {config.min_unique_tokens} of them "
            f"different (the longest text has {max(map(len, rows))}); lower length or min_unique_tokens"
        )
    text = np.repeat(np.arange(len(rows)), list(map(len, starts)))
    return windows[rich], text[rich], np.concatenate(starts)[rich]


def window_starts(tokens: int, length: int) -> np.ndarray:
    """Where the windows of a text of so many tokens begin: int64, 0, length, ..., and the last that fits."""
    last = tokens - length
    if last < 0:
        return np.zeros(0, np.int64)
    return np.unique(np.append(np.arange(0, last + 1, length), last))


def _texts(files: Listing, text_key: str) -> Any:
    """The name and the text of every document. Raises TesseraError where there is none."""
    found = [
        (f"{file.name} {number}", text)
        for file in files.files
        for number, text in enumerate(text_files.documents(file, text_key), start=1)
    ]
    if not found:
        raise TesseraError(f"{files.files[0]}: no documents in it; give a file with texts")
    return found
