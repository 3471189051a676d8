"""Encodes texts in two ways: with the tokenizer itself, and faster with tiktoken if it can be taken over."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lib.base.ragged import Ids
from lib.tokens import fast_bpe
from lib.tokens.pieces import Encoded
from lib.tokens.tokenization import encode_all

EXCERPT = 4096  # characters of a sampled document: the original is some fifty times slower
SAMPLE_EVERY = 1024
LARGE = 1 << 22  # characters of texts for which it pays to make the faster encoder: that takes some seconds


class Disagreement(Exception):
    """The fast encoder and the tokenizer give different ids."""


class Original:
    """The tokenizer itself, without special tokens: none are added, and their strings count as plain text."""

    def __init__(self, tokenizer: Any) -> None:
        """Take over `tokenizer` (transformers): truncation and padding are switched off in it."""
        self.tokenizer = tokenizer
        self.backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
        if self.backend is not None:
            self.backend.no_truncation()
            self.backend.no_padding()

    def encode(self, texts: list[str]) -> Encoded:
        """The ids of each text."""
        if not texts:
            return Encoded(np.zeros(0, np.uint32), np.zeros(0, np.int64))
        rows = self._rows(texts)
        lengths = np.array([len(row) for row in rows], np.int64)
        return Encoded(np.concatenate([np.array(row, np.uint32) for row in rows]), lengths)

    def _rows(self, texts: list[str]) -> list[list[int]]:
        if self.backend is not None:
            self.backend.encode_special_tokens = True  # the tokenizer itself sets it anew whenever it is called
            return [found.ids for found in self.backend.encode_batch_fast(texts, add_special_tokens=False)]
        return encode_all(self.tokenizer, texts)

    @functools.cached_property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return max(self.tokenizer.get_vocab().values()) + 1

    @functools.cached_property
    def name(self) -> str:
        """Identifies this tokenizer wherever it is stored: model, number of ids, hash of its definition."""
        if self.backend is None:
            kind, definition = type(self.tokenizer).__name__, json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        else:
            kind, definition = type(self.backend.model).__name__, self.backend.to_str()
        return f"{kind}-{self.vocab_size}-{hashlib.sha256(definition.encode()).hexdigest()[:12]}"


class Encoder:
    """The faster encoder if there is one, compared with the tokenizer itself on samples."""

    def __init__(self, tokenizer: Any) -> None:
        """engine: `tiktoken` or `tokenizers`; reason: why it is not tiktoken."""
        self.original, self.fast, self.reason = Original(tokenizer), None, ""
        try:
            self.fast = fast_bpe.build(tokenizer, self.original.encode)
        except fast_bpe.NotByteLevel as error:
            self.reason = f"not through tiktoken: {error}"
        self.engine = "tiktoken" if self.fast else "tokenizers"

    def compared(self, texts: list[str], first: int) -> Encoded:
        """The ids of documents `first`, `first` + 1, ... of a file, by the faster way.

        Raises Disagreement when the ids of a sampled document (of its first EXCERPT characters) differ.
        """
        if self.fast is None:
            return self.original.encode(texts)
        for number in filter(sampled, range(first, first + len(texts))):
            excerpt = [texts[number - first][:EXCERPT]]
            if not agree(self.fast(excerpt), self.original.encode(excerpt)):
                raise Disagreement(f"document {number}: other ids through tiktoken than through the tokenizer")
        return self.fast(texts)


def encode_large(tokenizer: Any, texts: Sequence[str]) -> Sequence[Ids]:
    """`tokenization.encode_all`, faster where there is much text: the same ids, row by row."""
    if sum(map(len, texts)) < LARGE:
        return encode_all(tokenizer, texts)
    encoder = Encoder(tokenizer)
    try:
        found = [encoder.compared(batch, first) for first, batch in batches(texts, LARGE)]
    except Disagreement as difference:
        print(f"{difference}; all texts go through the original tokenizer", flush=True)
        return encode_all(tokenizer, texts)
    return [row for each in found for row in np.split(each.ids, np.cumsum(each.lengths)[:-1])]


def batches(texts: Iterable[str], characters: int) -> Iterator[tuple[int, list[str]]]:
    """Consecutive texts that together reach `characters` (the last ones may not), with the number of the first."""
    first, batch, size = 0, [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= characters:
            yield first, batch
            first, batch, size = first + len(batch), [], 0
    if batch:
        yield first, batch


def sampled(number: int) -> bool:
    """Whether document `number` of a file is compared: 0, 1, 3, 7, 15, ... and every 1,024th."""
    return number & (number + 1) == 0 or number % SAMPLE_EVERY == 0


def agree(left: Encoded, right: Encoded) -> bool:
    """Whether two encodings of the same texts are equal."""
    return bool(np.array_equal(left.lengths, right.lengths) and np.array_equal(left.ids, right.ids))
