"""Chooses and cuts books: the long documents that canaries are injected into, and held-out ones."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def first_tokens(tokenizer: Any, text: str, count: int) -> str:
    """The beginning of `text` that its first `count` tokens cover; all of it when it has no more than these.

    A character that the last token holds only in part is kept whole.
    """
    ends = _token_ends(tokenizer, text)
    return text if len(ends) <= count else text[: int(ends[count - 1])]


def count_tokens(tokenizer: Any, text: str) -> int:
    """How many tokens `text` has, special ones apart."""
    return len(_token_ends(tokenizer, text))


def choose(order: Sequence[int], text_of: Callable[[int], str], fits: Callable[[str], bool], wanted: int) -> list[int]:
    """The first `wanted` documents of `order` whose text fits, as indices in that order; fewer when it ends.

    Only as many texts are read as it takes.
    """
    chosen: list[int] = []
    for index in order:
        if len(chosen) == wanted:
            break
        if fits(text_of(index)):
            chosen.append(index)
    return chosen


def _token_ends(tokenizer: Any, text: str) -> np.ndarray:
    from lib.tokens.tokenization import encode_with_offsets  # imports transformers

    return encode_with_offsets(tokenizer, text)[1][:, 1]
