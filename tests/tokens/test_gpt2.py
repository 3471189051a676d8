"""GPT-2's vocabulary and bytes a token, against tiktoken with the same merges."""

import importlib.metadata
import json

import pytest
import tiktoken

from lib.base.errors import TesseraError
from lib.tokens import gpt2
from lib.tokens.fast_bpe import byte_characters

TEXTS = ["It was the best of times, it was the worst of times.", "for i in range(10):\n        x[i] += y[i]  # 東京\n"]


def test_bytes_of_a_token_are_those_of_tiktoken() -> None:
    spelled = byte_characters()
    vocabulary = json.loads(gpt2.file(gpt2.VOCABULARY).read_text())
    ranks = {bytes(spelled[c] for c in token): rank for token, rank in vocabulary.items() if token != "<|endoftext|>"}
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    encoding = tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    tokens = sum(len(encoding.encode(text)) for text in TEXTS)
    assert gpt2.token_bytes(TEXTS) == sum(len(text.encode()) for text in TEXTS) / tokens


def test_without_text_or_package_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    assert gpt2.token_bytes([]) is None
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert gpt2.token_bytes(TEXTS) is None
    with pytest.raises(TesseraError, match="`make env` installs it"):
        gpt2.file(gpt2.VOCABULARY)
