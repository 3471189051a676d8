"""From ranges of a document's tokens to ranges of its bytes (UTF-8), exact to the character.

A token may begin or end inside a character. A range then takes the whole character: what is cut is text, and of no
token that is in the range a byte stays.
"""

import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Tokenizer

from lib.base.errors import TesseraError
from lib.tokens import fast_bpe


class Aligner:
    """Knows which bytes the tokens of a tokenizer stand for."""

    def __init__(self, tokenizer: Any) -> None:
        """Take over `tokenizer` (transformers). Raises TesseraError for one without tokenizer.json (a slow one)."""
        if not tokenizer.is_fast:
            raise TesseraError(f"{tokenizer.name_or_path}: a slow tokenizer has no offsets; save it as tokenizer.json")
        spec = json.loads(tokenizer.backend_tokenizer.to_str())
        self._bytes = _byte_level(spec)
        self._backend = Tokenizer.from_str(json.dumps({**spec, "post_processor": None}))  # which may trim blanks
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True

    def byte_ranges(self, text: str, ids: NDArray[np.integer], ranges: ArrayLike) -> NDArray[np.int64]:
        """The bytes [start, stop) of `text` that ranges [first, last) of its tokens `ids` stand for, both (n, 2).

        The ranges are not empty, rise and do not overlap. Neither do the results: a character that two of them share
        is in the first. Raises TesseraError if `ids` are not the tokens of `text`.
        """
        ranges = np.asarray(ranges, np.int64).reshape(-1, 2)
        data = text.encode()
        borders = self._by_bytes(data, ids, ranges)
        return _apart(self._by_offsets(text, ids, ranges) if borders is None else _widened(data, borders))

    def _by_bytes(self, data: bytes, ids: NDArray[np.integer], ranges: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The borders of ranges as bytes, by the bytes of each token; None where these do not give the text."""
        if self._bytes is None:
            return None
        spelled = [self._bytes.get(index, b"") for index in ids.tolist()]
        if b"".join(spelled) != data:  # the text was normalised
            return None
        return np.cumsum([0, *map(len, spelled)])[ranges]

    def _by_offsets(self, text: str, ids: NDArray[np.integer], ranges: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same by the characters that the tokenizer says each token stands for."""
        found = self._backend.encode(text, add_special_tokens=False)
        if found.ids != ids.tolist():
            raise TesseraError("the tokens of a document are not those of its text")
        characters = np.array(found.offsets, np.int64).reshape(-1, 2)
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        sizes = 1 + sum((points >= first).astype(np.int64) for first in (0x80, 0x800, 0x10000))
        byte_of = np.concatenate([[0], np.cumsum(sizes)])
        return byte_of[np.column_stack([characters[ranges[:, 0], 0], characters[ranges[:, 1] - 1, 1]])]


def _byte_level(spec: dict[str, Any]) -> dict[int, bytes] | None:
    """The bytes of every token of a byte-level vocabulary; None for a vocabulary of another kind."""
    if (spec["decoder"] or {}).get("type") != "ByteLevel" or not isinstance(spec["model"].get("vocab"), dict):
        return None
    byte_of = fast_bpe.byte_characters()
    known = {token: index for token, index in spec["model"]["vocab"].items() if set(token) <= byte_of.keys()}
    found = {index: bytes(map(byte_of.__getitem__, token)) for token, index in known.items()}
    return found | {token["id"]: token["content"].encode() for token in spec["added_tokens"]}


def _widened(data: bytes, borders: NDArray[np.int64]) -> NDArray[np.int64]:
    """Byte ranges (n, 2) with every character of which they hold a part."""
    heads = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)  # first bytes of characters
    starts = heads[np.searchsorted(heads, borders[:, 0], "right") - 1]
    return np.column_stack([starts, np.append(heads, len(data))[np.searchsorted(heads, borders[:, 1])]])


def _apart(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rising ranges (n, 2), each without what those before it have."""
    ends = np.maximum.accumulate(ranges[:, 1])
    before = np.append(0, ends)[: len(ranges)]
    return np.column_stack([np.maximum(ranges[:, 0], before), ends])
