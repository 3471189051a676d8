"""Proportions: the Wilson interval of one, McNemar's exact test of two on the same items.

Both with items of their own, and with items in clusters (several of one document), where the cluster is the unit.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats


def wilson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The score interval (low, high) of a proportion (Wilson 1927), of the broadcast shape; within [0, 1].

    Raises ValueError unless 0 <= successes <= trials, trials > 0 and 0 < confidence < 1. Trials need not be whole.
    """
    k, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if not ((k >= 0) & (k <= n) & (n > 0)).all() or not 0 < confidence < 1:
        raise ValueError(
            f"{successes!r} successes of {trials!r}, confidence {confidence}; these do not make a proportion"
        )
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
        raise ValueError(f"{only_one!r} and {only_other!r} discordant pairs; counts must be at least 0")
    return np.minimum(1.0, 2 * special.bdtr(np.minimum(b, c), b + c, 0.5))


def clustered_wilson(successes: ArrayLike, clusters: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson interval (low, high) of the share of `successes`, (n,) bool, whose `clusters`, (n,) int, are the unit.

    n is divided by the design effect, the variance of the share between clusters over that of independent items (Rao
    and Scott 1992), at least 1, and by (t / z)^2, for few clusters (Korn and Graubard 1998; Dean and Pagano 2015, who
    compare such intervals). Where all items agree that variance is not known, and items of one cluster count as one.
    The plain interval where every cluster has one item, or where there is one cluster: it is then of that cluster's
    items alone. Raises ValueError for no items.
    """
    sizes, counts = _by_cluster(clusters, np.asarray(successes, dtype=np.float64))
    n, k = float(sizes.sum()), float(counts.sum())
    if len(sizes) in (1, n):
        low, high = wilson(k, n, confidence)
    else:
        effective = n / _design_effect(sizes, counts) / _for_few(len(sizes), confidence)
        low, high = wilson(k / n * effective, effective, confidence)
    return float(low), float(high)


def most_of_none(n: int, confidence: float = 0.95) -> float:
    """The upper bound of a proportion of which there is none among n: exact and one-sided (Clopper and Pearson 1934),
    1 - (1 - confidence)^(1/n), about 3/n at 95 % (the rule of three). Raises ValueError for n below 1."""
    if n < 1:
        raise ValueError(f"n is {n}; it must be at least 1")
    return float(-np.expm1(np.log1p(-confidence) / n))


def sign_flip(differences: ArrayLike, clusters: ArrayLike) -> float:
    """The two-sided exact p-value of no difference between two on the same items, in clusters.

    differences: (n,) of -1, 0, 1: which of the two alone succeeded. The sum over clusters is compared with all sums in
    which the sign of each cluster's own sum is turned around or not (Fisher's randomization test), so items of one
    cluster may depend on each other in any way. McNemar's exact test where every cluster has one item, or where there
    is one cluster: it is then of that cluster's items alone. Raises ValueError for no items.
    """
    values = np.asarray(differences, dtype=np.float64)
    _, by_cluster = _by_cluster(clusters, values)
    sums = np.abs(values if len(by_cluster) == 1 else by_cluster).astype(np.int64)
    observed = abs(int(values.sum()))
    if sums.max() <= 1:
        total = int(sums.sum())
        return float(mcnemar((total + observed) // 2, (total - observed) // 2))
    steps, times = np.unique(sums[sums > 0], return_counts=True)
    laws: Iterator[NDArray[Any]] = (_sums_of_signs(step, count) for step, count in zip(steps.tolist(), times.tolist()))
    law = reduce(np.convolve, laws)
    middle = len(law) // 2
    return float(min(1.0, 2 * law[middle + observed :].sum() if observed else 1.0))


def _sums_of_signs(step: int, count: int) -> NDArray[np.float64]:
    """The probabilities of the sums of `count` random signs times `step`, from -count * step to count * step."""
    law = np.zeros(2 * count * step + 1)
    law[:: 2 * step] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
    return law


def _by_cluster(clusters: ArrayLike, values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The number of items and the sum of values of every cluster."""
    if not len(values):
        raise ValueError("no items; their share is not defined")
    _, place = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(place), np.bincount(place, weights=values)


def _design_effect(sizes: NDArray[np.intp], counts: NDArray[np.float64]) -> float:
    n, share = sizes.sum(), counts.sum() / sizes.sum()
    if share in (0, 1):
        return float((sizes**2).sum() / n)  # Kish's, for items of a cluster that are all the same
    between = len(sizes) / (len(sizes) - 1) * ((counts - share * sizes) ** 2).sum() / n**2
    return max(1.0, float(between / (share * (1 - share) / n)))


def _for_few(clusters: int, confidence: float) -> float:
    tail = (1 + confidence) / 2
    return float((special.stdtrit(clusters - 1, tail) / special.ndtri(tail)) ** 2)
