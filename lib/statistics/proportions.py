"""Proportions: the Wilson interval of one, McNemar's exact test of two on the same items. Arrays of counts."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def wilson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The score interval (low, high) of a proportion (Wilson 1927), of the broadcast shape; within [0, 1].

    Raises ValueError unless 0 <= successes <= trials, trials >= 1 and 0 < confidence < 1.
    """
    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not ((k >= 0) & (k <= n) & (n >= 1)).all() or not 0 < confidence < 1:
        raise ValueError(f"{successes} successes of {trials}, confidence {confidence}; these do not make a proportion")
    z2 = special.ndtri((1 + confidence) / 2) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    # the ends of 0 and n successes are 0 and 1 but for rounding
    return np.where(k == 0, 0.0, centre - half), np.where(k == n, 1.0, centre + half)


def mcnemar(only_one: ArrayLike, only_other: ArrayLike) -> NDArray[np.float64]:
    """Two-sided exact p-values of equal proportions from the discordant pairs (McNemar 1947, binomial with 1/2).

    1 where no pair is discordant. Raises ValueError for negative counts.
    """
    b, c = np.asarray(only_one, dtype=np.float64), np.asarray(only_other, dtype=np.float64)
    if (b < 0).any() or (c < 0).any():
        raise ValueError(f"{only_one} and {only_other} discordant pairs; counts must be at least 0")
    return np.minimum(1.0, 2 * special.bdtr(np.minimum(b, c), b + c, 0.5))
