"""What windows say of single tokens. Where windows overlap, a token is in several suffixes: one of them counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.audit.windows import Cut


def of_texts(
    values: NDArray,
    key: NDArray,
    text: NDArray[np.integer],
    start: NDArray[np.integer],
    lengths: Sequence[int],
    cut: Cut,
    nothing: Any = np.nan,
) -> list[NDArray]:
    """A value for each token of every text, (tokens,): that of the window with the largest key whose suffix holds it.

    values: (windows, S), or (windows, 1) for one that all tokens of a suffix share; key, text, start: (windows,), see
    windows.of_texts. nothing: what a token in no suffix has.
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    found = np.full(int(ends[-1]), nothing, dtype=values.dtype)
    order = np.argsort(key, kind="stable")
    first = (ends - lengths)[text[order]] + start[order].astype(np.int64) + cut.prompt_tokens
    places = first[:, None] + np.arange(cut.suffix_tokens)
    found[places] = values[order]  # of equal places the last one stays, which has the largest key
    return np.split(found, ends[:-1])
