"""Confidence intervals of bootstrap samples, and of a mean over seeds."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

CONFIDENCE = 0.95


def interval(samples: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval of bootstrap samples (draws,): (low, high). Raises ValueError without any."""
    if not np.size(samples):
        raise ValueError("there are no samples; an interval needs at least one")
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(samples, dtype=np.float64), [tail, 1 - tail])
    return float(low), float(high)


def seeds_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The t interval of the mean of one value a seed (n,): mean -+ t(n - 1) s / sqrt(n), s with ddof 1.

    What differs between seeds (training, data order, canaries) and not between canaries of one seed. (NaN, NaN) for
    fewer than two seeds: one run says nothing of others.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def seeds_deviation(values: ArrayLike) -> float:
    """The standard deviation of one value a seed (n,), with ddof 0 as published; NaN for fewer than two seeds."""
    values = np.asarray(values, dtype=np.float64)
    return float(values.std()) if len(values) > 1 else float("nan")
