"""(n, p)-discoverable extraction (Hayes et al. 2024, arXiv 2410.19482): how many samples it takes to draw a suffix.

A suffix that one sample gives with probability p_z appears at least once in n samples with probability
1 - (1 - p_z)^n; it is (n, p)-discoverably extractable when that is p or more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

PROBABILITIES = (0.1, 0.5, 0.9)
_ROUNDING = 1e-9  # relative; a quotient this close to an integer is one


def samples_needed(log_p: ArrayLike, p: float) -> NDArray[np.float64]:
    """The least n >= 1 with n >= ln(1 - p) / ln(1 - p_z), as float64 of the shape of `log_p`.

    log_p: ln p_z, at most 0. Infinite where p_z = 0 (-inf) or n has no float64, 1 where p_z = 1.
    Raises ValueError unless 0 < p < 1, or for a NaN or positive ln p_z.
    """
    if not 0 < p < 1:
        raise ValueError(f"p is {p}; it must be above 0 and below 1")
    log_p = np.asarray(log_p, dtype=np.float64)
    if not (log_p <= 0).all():
        raise ValueError("ln p_z must be at most 0, and not NaN")
    with np.errstate(divide="ignore", over="ignore"):
        n = np.log1p(-p) / np.log1p(-np.exp(log_p))
    nearest = np.rint(n)
    whole = np.isclose(n, nearest, rtol=_ROUNDING, atol=0)
    return np.maximum(1, np.where(whole, nearest, np.ceil(n)))


def samples_by_probability(log_p: ArrayLike) -> NDArray[np.float64]:
    """`samples_needed` for each of PROBABILITIES, float64 (n, 3). log_p: ln p_z, (n,)."""
    return np.stack([samples_needed(log_p, p) for p in PROBABILITIES], axis=1)


def curve(needed: ArrayLike, samples: Sequence[int]) -> NDArray[np.float64]:
    """The share of prompts whose suffix is extractable within each number of `samples`, float64 (len(samples),).

    needed: (n,), what `samples_needed` gives. Raises ValueError for no prompts.
    """
    ordered = np.sort(np.asarray(needed, dtype=np.float64))
    if not len(ordered):
        raise ValueError("no prompts; the share of extractable ones is not defined")
    return np.searchsorted(ordered, np.asarray(samples), side="right") / len(ordered)
