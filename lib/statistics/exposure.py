"""Near-duplicates in copies' worth: each counts rho of its distance, as much as it adds to what a model memorises."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def weights(share: ArrayLike, levels: ArrayLike, rho: ArrayLike) -> NDArray[np.float64]:
    """How many exact copies a near-duplicate counts as, where it differs in these shares of its tokens (n,): rho of the
    share, linear between the `levels` (m,), at which `rho` (m,) was measured.

    1 at 0 (an exact copy) and 0 at 1; a rho above that of a smaller share counts as much as that, and none is negative.
    Outside the levels these ends decide: a straight line leads from 1 to the first level, and from the last one to 0.
    levels: shares, rising, between 0 and 1. Raises ValueError for others.
    """
    levels, rho = np.asarray(levels, np.float64), np.asarray(rho, np.float64)
    if levels.shape != rho.shape or levels.ndim != 1 or not (np.diff([0, *levels, 1]) > 0).all():
        raise ValueError(f"levels are {levels.tolist()} for {len(rho)} values of rho; they must rise between 0 and 1")
    falling = np.minimum.accumulate([1, *rho.clip(0), 0])
    return np.interp(np.asarray(share, np.float64), [0, *levels, 1], falling)


def of_targets(
    target: NDArray[np.integer], share: ArrayLike, n_targets: int, levels: ArrayLike, rho: ArrayLike
) -> NDArray[np.float64]:
    """The effective exposure of each target (n_targets,): the sum of the `weights` of what is near it, exact copies 1.

    target, share: (n,), of each exact copy (share 0) and near-duplicate: of which target, and how much of it differs.
    """
    counted = np.bincount(np.asarray(target, np.int64), weights(share, levels, rho), n_targets)
    return np.asarray(counted, np.float64)
