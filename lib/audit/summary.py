"""What the windows of a text say of the text: how much of it is extracted, and its scores of membership."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.audit import extraction, windows
from lib.audit.windows import Cut

THRESHOLDS = (1e-3, 1e-2, 0.1, 0.5)


@dataclass(frozen=True)
class Scored:
    """The windows of texts with their evidence; text rises, and start within a text.

    text, start: (n,); log_probs, rank, top_k_mass, and mu and sigma where they were kept: (n, S), see
    jobs/audit/score_windows.py; cut, top_k: what they were made with.
    """

    text: NDArray[np.integer]
    start: NDArray[np.integer]
    log_probs: NDArray[np.floating]
    rank: NDArray[np.integer]
    top_k_mass: NDArray[np.floating]
    cut: Cut
    top_k: int
    mu: NDArray[np.floating] | None = None
    sigma: NDArray[np.floating] | None = None

    def of_text(self, number: int) -> slice:
        """The rows of a text's windows."""
        low, high = np.searchsorted(self.text, [number, number + 1])
        return slice(int(low), int(high))


def of_windows(scored: Scored) -> dict[str, NDArray]:
    """Columns of all windows, (n,): `log_p` (top-k sampling), `log_p_own` (the model's own distribution), `matched`."""
    return {
        "log_p": extraction.log_p_top_k(scored.log_probs, scored.rank, scored.top_k_mass, scored.top_k),
        "log_p_own": extraction.log_p(scored.log_probs),
        "matched": extraction.matched_tokens(scored.rank),
    }


def spans(scored: Scored, log_p: NDArray[np.float64], number: int, threshold: float) -> NDArray[np.int64]:
    """The spans of a text that windows with p_z of at least `threshold` cover, (n, 2) tokens, half open."""
    rows = scored.of_text(number)
    return windows.spans(scored.start[rows], log_p[rows] >= np.log(threshold), scored.cut)


def of_texts(
    scored: Scored, log_p: NDArray[np.float64], lengths: Sequence[int], thresholds: Sequence[float]
) -> dict[str, NDArray]:
    """Columns of all texts at each threshold of p_z, (texts, thresholds).

    `covered`: tokens in a span; `span_begin`, `span_end`: the longest span, (0, 0) where there is none. And (texts,):
    `examined`: tokens in a suffix of any window. lengths: the tokens of each text.
    """
    found = [[spans(scored, log_p, number, one) for one in thresholds] for number in range(len(lengths))]
    longest = np.array([[windows.longest(one) for one in row] for row in found], dtype=np.int64)
    every = [spans(scored, np.zeros(len(log_p)), number, 1) for number in range(len(lengths))]
    return {
        "examined": np.array([windows.covered(one) for one in every], dtype=np.int64),
        "covered": np.array([[windows.covered(one) for one in row] for row in found], dtype=np.int64),
        "span_begin": longest[..., 0],
        "span_end": longest[..., 1],
    }


def rows_by_text(values: NDArray, text: NDArray[np.integer], n_texts: int) -> list[NDArray]:
    """The values of a text's windows one after another, a row for each text; empty for one without windows.

    values: (windows,) or (windows, S); text: (windows,), rising.
    """
    cuts = np.searchsorted(text, np.arange(1, n_texts))
    return [part.ravel() for part in np.split(values, cuts)]
