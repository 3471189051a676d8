"""p-values of bootstrap samples, and Holm's correction for many comparisons."""

import math

import numpy as np
from numpy.typing import ArrayLike

FEW = 10  # bootstrap samples beyond 0: fewer do not give a reliable share


def bootstrap_p_value(samples: ArrayLike) -> float:
    """The two-sided p-value of "the difference is 0" from bootstrap samples of it (draws,).

    Twice the smaller share of samples on one side of 0, samples at 0 on both, as (k + 1) / (draws + 1). That is never
    below 2 / (draws + 1), which no correction for many comparisons would leave below 5 %: where fewer than FEW samples
    are on that side it is the p of a z test with the samples' mean and standard deviation, if smaller.
    """
    samples = np.asarray(samples, dtype=np.float64)
    fewer = min(np.count_nonzero(samples <= 0), np.count_nonzero(samples >= 0))
    counted = min(1.0, 2 * (fewer + 1) / (len(samples) + 1))
    spread = samples.std()
    if fewer >= FEW or spread == 0:
        return counted
    return min(counted, math.erfc(abs(samples.mean()) / spread / math.sqrt(2)))


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values (n,) corrected for n comparisons by the step-down method of Holm (1979): float64 (n,).

    The i-th smallest becomes the largest of (n - j + 1) p_(j) over j <= i, at most 1: rejecting what lies below 0.05
    errs anywhere in at most 5 % of families. Raises ValueError for values outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are {p.tolist()}; they must be between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected
