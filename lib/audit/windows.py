"""Windows through a text: a prompt, and the suffix after it that a model may continue it with.

The window slides over the tokens of one text (Cooper et al. 2025, arXiv 2505.12546, with prompts and suffixes of 50
tokens). The first `prompt_tokens` tokens of a text are in no suffix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.base.config import at_least
from lib.base.errors import TesseraError


@dataclass(frozen=True)
class Cut:
    """How a text is cut, in tokens."""

    prompt_tokens: int
    suffix_tokens: int
    stride: int

    def __post_init__(self) -> None:
        """Raise ValueError for lengths below 1."""
        at_least(1, prompt_tokens=self.prompt_tokens, suffix_tokens=self.suffix_tokens, stride=self.stride)

    @property
    def length(self) -> int:
        """Tokens of a window."""
        return self.prompt_tokens + self.suffix_tokens


def starts(n_tokens: int, cut: Cut) -> NDArray[np.int64]:
    """Where the windows of a text begin, in tokens, rising: 0, stride, 2 stride, ..., and the last place where a window
    fits. Up to a stride of `suffix_tokens` every token behind the first prompt is then in a suffix. None for a text
    that is shorter than a window."""
    last = n_tokens - cut.length
    if last < 0:
        return np.zeros(0, dtype=np.int64)
    return np.union1d(np.arange(0, last + 1, cut.stride), last)


def of_texts(lengths: Sequence[int], cut: Cut) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows of texts of these lengths: which text each is of, and where it begins, both (windows,)."""
    found = [starts(length, cut) for length in lengths]
    text = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return text, np.concatenate([np.zeros(0, dtype=np.int64), *found])


def of_part(
    lengths: Sequence[int], cut: Cut, part: int, parts: int, file: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`of_texts`, one of `parts` parts of it, counted from 0. file: of the texts. Raises TesseraError for too few."""
    text, start = of_texts(lengths, cut)
    if not len(text):
        raise TesseraError(
            f"{file}: none of {len(lengths)} texts has the {cut.length} tokens of a window (prompt_tokens + "
            f"suffix_tokens); the longest has {max(lengths)}; lower one of them, or give longer texts"
        )
    if parts > len(text):
        raise TesseraError(f"parts is {parts}, but {file} has only {len(text)} windows; lower parts")
    mine = slice(len(text) * part // parts, len(text) * (part + 1) // parts)
    return text[mine], start[mine]


def read_together(prompts: Sequence[NDArray[np.integer]]) -> list[slice]:
    """Which windows are scored in one call, by their prompts: all; but where most have the prompt of the one before
    (fuzzy duplicates), those with one prompt, which is then read once."""
    new = [row for row, prompt in enumerate(prompts) if not row or not np.array_equal(prompt, prompts[row - 1])]
    if 2 * len(new) > len(prompts):
        return [slice(0, len(prompts))]
    return [slice(*ends) for ends in pairwise([*new, len(prompts)])]


def merged(begins: NDArray[np.integer], length: int) -> NDArray[np.int64]:
    """The union of the stretches [begin, begin + length) as spans, (n, 2) half open, rising; stretches that overlap or
    touch are one span.

    begins: rising.
    """
    begins = np.asarray(begins, dtype=np.int64)
    if not len(begins):
        return np.zeros((0, 2), dtype=np.int64)
    apart = np.flatnonzero(np.diff(begins) > length)
    return np.stack([begins[np.append(0, apart + 1)], begins[np.append(apart, len(begins) - 1)] + length], axis=1)


def spans(begins: NDArray[np.integer], chosen: NDArray[np.bool_], cut: Cut) -> NDArray[np.int64]:
    """The tokens that the suffixes of the chosen windows of a text cover, as spans: see `merged`.

    begins: where all windows of the text begin, rising, (windows,); chosen: (windows,).
    """
    return merged(np.asarray(begins)[chosen] + cut.prompt_tokens, cut.suffix_tokens)


def covered(found: NDArray[np.int64]) -> int:
    """How many tokens spans have together."""
    return int((found[:, 1] - found[:, 0]).sum())


def longest(found: NDArray[np.int64]) -> tuple[int, int]:
    """The longest span, the first of equal ones; (0, 0) where there is none."""
    if not len(found):
        return 0, 0
    begin, end = found[int(np.argmax(found[:, 1] - found[:, 0]))].tolist()
    return begin, end
