"""The four published rankings of generated texts (Carlini et al. 2021, arXiv 2012.07805): most suspicious first.

All are of log-perplexities (mean NLL, nats per token) of a generated text, and larger means more likely memorized.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]


def perplexity(large: ArrayLike) -> Scores:
    """- ln PPL of the large model: what it finds likely, (n,)."""
    return -_log_perplexity(large)


def small(large: ArrayLike, small: ArrayLike) -> Scores:
    """ln PPL of the small model / ln PPL of the large one, (n,)."""
    return _ratio(small, large)


def lowercase(large: ArrayLike, lower: ArrayLike) -> Scores:
    """ln PPL of the lowercased text / ln PPL of the text, both under the large model, (n,)."""
    return _ratio(lower, large)


def zlib(large: ArrayLike, zlib_bytes: ArrayLike) -> Scores:
    """Bytes of zlib / ln PPL of the large model, (n,)."""
    return _ratio(zlib_bytes, large)


RANKINGS: dict[str, tuple[Callable[..., Scores], tuple[str, ...]]] = {
    "perplexity": (perplexity, ("large",)),
    "small": (small, ("large", "small")),
    "lowercase": (lowercase, ("large", "lower")),
    "zlib": (zlib, ("large", "zlib_bytes")),
}


def scores(evidence: Mapping[str, ArrayLike]) -> dict[str, Scores]:
    """Every ranking score that the evidence (large, small, lower: log-perplexities; zlib_bytes) allows, each (n,)."""
    return {
        name: function(*(evidence[key] for key in needed))
        for name, (function, needed) in RANKINGS.items()
        if all(key in evidence for key in needed)
    }


def top(values: ArrayLike, count: int) -> NDArray[np.int64]:
    """The rows of the `count` largest scores, largest first, ties by row; texts that could not be scored (NaN) last.

    Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}; it must be at least 0")
    values = np.asarray(values, dtype=np.float64)
    return np.argsort(-values, kind="stable")[:count]


def _ratio(over: ArrayLike, under: ArrayLike) -> Scores:
    # a text that the large model is certain of (0) is the most suspicious one: its ratio is infinite
    over, under = np.asarray(over, dtype=np.float64), _log_perplexity(under)
    with np.errstate(divide="ignore", invalid="ignore"):
        return over / under


def _log_perplexity(values: ArrayLike) -> Scores:
    values = np.asarray(values, dtype=np.float64)
    if (values < 0).any():
        raise ValueError(f"row {int(np.argmax(values < 0))}: a log-perplexity must be at least 0")
    return values + 0.0  # -0.0 would turn the sign of a ratio
