"""Are the values of one group larger than those of another? A test that exchanges units between the groups."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lib.statistics.roc import resample_counts

RESAMPLES = 9999


def p_greater(values: ArrayLike, others: ArrayLike, generator: np.random.Generator) -> float:
    """The one-sided p-value of "both groups are drawn alike" against larger `values`, by the difference of means.

    values: (n,), others: (m,), one for each unit that may be exchanged (a document, not a window of it). Exact where
    there are at most RESAMPLES ways to divide them, else (1 + resamples at least as large) / (1 + RESAMPLES) (Phipson
    and Smyth 2010). NaN with fewer than two units in a group. Raises ValueError for a NaN.
    """
    one, other = (np.asarray(some, dtype=np.float64) for some in (values, others))
    if np.isnan(one).any() or np.isnan(other).any():
        raise ValueError("a value is NaN; leave units without a value out")
    if min(len(one), len(other)) < 2:
        return float("nan")
    found = stats.permutation_test(
        (one, other), _difference, vectorized=True, n_resamples=RESAMPLES, alternative="greater", rng=generator
    )
    return float(found.pvalue)


def bootstrap_difference(
    values: ArrayLike, others: ArrayLike, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """The difference of means in `draws` bootstrap samples, each group drawn apart, (draws,) float64."""
    groups = (np.asarray(some, dtype=np.float64) for some in (values, others))
    one, other = (resample_counts(len(some), draws, generator) @ some / len(some) for some in groups)
    return one - other


def _difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
    return one.mean(axis=axis) - other.mean(axis=axis)
