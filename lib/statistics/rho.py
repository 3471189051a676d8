"""rho, the exact-duplicate equivalent of fuzzy duplicates ("The mosaic memory of large language models").

A fuzzy duplicate raises an attack's AUC as much as nu_eq exact copies do; rho = (nu_eq - 1) / (nu_max - 1) is 0 when
its variations add nothing to the one original and 1 when they count as much as exact copies. Both estimators invert
the exact curve (AUC against copies nu) and work on many curves at once, so that a bootstrap goes through the whole
estimate.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

EXTRAPOLATION_STEPS = 3
# AUCs are multiples of 1 / (2 n m); beyond this many decimals only rounding error is left, which would break ties.
DECIMALS = 12
FLAT_SLOPE = 1e-9


class Rho(NamedTuple):
    """An estimate, or one for each bootstrap sample: every field has the shape of the `auc` that was given.

    nu_eq and rho are float64 and finite. clamped: nu_eq is an end of the curve, because the AUC is that of this end or
    lies beyond it. extrapolated: nu_eq lies beyond the curve, or (`paper`) beyond the first step of a curve that falls
    there. An estimate of 1, or of nu_max and more, always has one of both. flat: the curve does not move
    where it was inverted, so nu_eq is one of many answers (the largest; for `paper` 1 at the start of the curve).
    non_monotone: the exact AUC falls somewhere as copies are added.
    """

    nu_eq: np.ndarray
    rho: np.ndarray
    clamped: np.ndarray
    extrapolated: np.ndarray
    flat: np.ndarray
    non_monotone: np.ndarray


def paper(copies: ArrayLike, curve: ArrayLike, auc: ArrayLike) -> Rho:
    """The published estimator.

    The curve, interpolated linearly to every integer nu (levels such as 1, 3, 5, 7, 10 may be given; a linear curve
    stays as it is), is smoothed by a moving average of width 3 that keeps both end points. With c the result, the
    first of these rules that holds gives nu_eq:

    - auc <= c[1]: the first step goes on as it is, 1 + (auc - c[1]) / (c[2] - c[1]), but at least 1 (clamped). If
      that step falls, a lower AUC has a larger nu_eq.
    - auc >= c[nu_max]: nu_max + (auc - c[nu_max]) / s, with s the mean absolute slope of the last 3 steps, whether the
      curve has been as high before or not.
    - otherwise the last crossing of `auc`, by linear interpolation.

    Where the published formula divides by 0, nu_eq is 1 on a level first step, nu_max when s = 0 (flat; clamped if auc
    is above c[nu_max]), and the last nu of a level stretch that is crossed (flat).

    copies: (levels,) increasing integers from 1; curve: (..., levels) AUCs; auc: (...). Raises ValueError otherwise.
    """
    copies, curve, auc = _checked(copies, curve, auc)
    nu = np.arange(copies[0], copies[-1] + 1)
    smooth = np.round(_smooth(_interpolate(copies, curve, nu)), DECIMALS)
    low = auc <= smooth[..., 0]
    high = ~low & (auc >= smooth[..., -1])
    first, first_level = _from(smooth[..., 0], auc, smooth[..., 1] - smooth[..., 0])
    slope = np.abs(np.diff(smooth, axis=-1))[..., -EXTRAPOLATION_STEPS:].mean(axis=-1)
    last, last_level = _from(smooth[..., -1], auc, slope)
    crossing, crosses_level = _last_crossing(nu, smooth, auc)
    nu_eq = np.select([low, high], [nu[0] + np.maximum(first, 0.0), nu[-1] + last], crossing)
    level = np.select([low, high], [first_level, last_level], crosses_level)
    outside = np.select([low, high], [auc < smooth[..., 0], auc > smooth[..., -1]], False)
    at_an_end = (low | high) & ~outside
    clamped = at_an_end | (outside & (level | (low & (first < 0))))
    extrapolated = (low & (first > 1)) | (high & outside & ~level)
    return _estimate(nu_eq, copies, curve, clamped, extrapolated, flat=level & ~(low & outside))


def isotonic(copies: ArrayLike, curve: ArrayLike, auc: ArrayLike) -> Rho:
    """The inverse of the isotonic (least-squares, non-decreasing) regression of the exact curve.

    nu_eq is interpolated linearly between levels and held within [1, nu_max] (clamped). On a level stretch of the
    fit it is the stretch's last nu, as in `paper`, and flagged flat.

    copies: (levels,) increasing integers from 1; curve: (..., levels) AUCs; auc: (...). Raises ValueError otherwise.
    """
    copies, curve, auc = _checked(copies, curve, auc)
    fit = np.round(isotonic_fit(curve), DECIMALS)
    crossing, flat = _last_crossing(copies, fit, auc)
    above, below = auc > fit[..., -1], auc < fit[..., 0]
    nu_eq = np.select([above, below], [copies[-1], 1.0], crossing)
    clamped = (auc >= fit[..., -1]) | (auc <= fit[..., 0])
    constant = fit[..., 0] == fit[..., -1]
    return _estimate(nu_eq, copies, curve, clamped, extrapolated=np.zeros_like(above), flat=flat | constant)


ESTIMATORS: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike], Rho]] = {"isotonic": isotonic, "paper": paper}


def isotonic_fit(curve: ArrayLike) -> np.ndarray:
    """The non-decreasing least-squares fit of (..., levels), equal weights, along the last axis.

    By the min-max formula fit_k = max_{i <= k} min_{j >= k} mean(c_i..c_j), which needs no loop over samples.
    """
    curve = np.asarray(curve, dtype=np.float64)
    levels = curve.shape[-1]
    total = np.concatenate([np.zeros((*curve.shape[:-1], 1)), np.cumsum(curve, axis=-1)], axis=-1)
    first, last = np.arange(levels)[:, None], np.arange(levels)
    length = np.maximum(last - first + 1, 1)
    means = (total[..., None, 1:] - total[..., :-1, None]) / length
    means = np.where(last >= first, means, np.inf)
    lowest = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    lowest = np.where(last >= first, lowest, -np.inf)
    return lowest.max(axis=-2)


def _smooth(curve: np.ndarray) -> np.ndarray:
    """Moving average of width 3 along the last axis; both end points are kept."""
    smooth = curve.copy()
    smooth[..., 1:-1] = (curve[..., :-2] + curve[..., 1:-1] + curve[..., 2:]) / 3
    return smooth


def _interpolate(copies: np.ndarray, curve: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """The curve (..., levels) at every nu, linear between levels: (..., len(nu))."""
    right = np.clip(np.searchsorted(copies, nu), 1, len(copies) - 1)
    weight = (nu - copies[right - 1]) / (copies[right] - copies[right - 1])
    return curve[..., right - 1] * (1 - weight) + curve[..., right] * weight


def _from(start: np.ndarray, auc: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(auc - start) / slope, 0 where the slope is level; and whether it is."""
    level = np.abs(slope) < FLAT_SLOPE
    return np.where(level, 0.0, (auc - start) / np.where(level, 1.0, slope)), level


def _last_crossing(nu: np.ndarray, curve: np.ndarray, auc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last nu at which the polyline (..., levels) equals `auc` (...), NaN where it never does; and whether the
    polyline is level there."""
    left, right, target = curve[..., :-1], curve[..., 1:], auc[..., None]
    crosses = (np.minimum(left, right) <= target) & (target <= np.maximum(left, right))
    segment = crosses.shape[-1] - 1 - np.argmax(crosses[..., ::-1], axis=-1)
    start, end = (np.take_along_axis(side, segment[..., None], axis=-1)[..., 0] for side in (left, right))
    level = start == end
    share = np.where(level, 1.0, (auc - start) / np.where(level, 1.0, end - start))
    found = crosses.any(axis=-1)
    position = nu[segment] + share * (nu[segment + 1] - nu[segment])
    return np.where(found, position, np.nan), found & _touches_level(left, right, target)


def _touches_level(left: np.ndarray, right: np.ndarray, target: np.ndarray) -> np.ndarray:
    return ((left == right) & (left == target)).any(axis=-1)


def _estimate(
    nu_eq: np.ndarray, copies: np.ndarray, curve: np.ndarray,
    clamped: np.ndarray, extrapolated: np.ndarray, flat: np.ndarray,
) -> Rho:  # fmt: skip
    rho = (nu_eq - 1) / (copies[-1] - 1)
    falls = (np.diff(curve, axis=-1) < 0).any(axis=-1)
    return Rho(nu_eq, rho, clamped, extrapolated, flat, np.broadcast_to(falls, rho.shape))


def _checked(copies: ArrayLike, curve: ArrayLike, auc: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    copies, curve, auc = (np.asarray(values, dtype=np.float64) for values in (copies, curve, auc))
    if copies.ndim != 1 or len(copies) < 2 or copies[0] != 1 or (np.diff(copies) <= 0).any():
        raise ValueError(f"copy counts are {copies.tolist()}; they must be at least two, rising from 1")
    if (copies != np.round(copies)).any():
        raise ValueError(f"copy counts are {copies.tolist()}; they must be whole numbers")
    if curve.shape[-1:] != copies.shape:
        raise ValueError(f"the exact curve has {curve.shape[-1:]} values for {len(copies)} copy counts")
    if not (np.isfinite(curve).all() and np.isfinite(auc).all()):
        raise ValueError("the AUCs of the exact curve and of the fuzzy duplicates must be finite")
    try:
        auc, _ = np.broadcast_arrays(auc, curve[..., 0])
    except ValueError as error:
        raise ValueError(f"AUCs of shape {auc.shape} do not fit exact curves of shape {curve.shape}") from error
    curve = np.broadcast_to(curve, (*auc.shape, len(copies)))
    return copies, np.round(curve, DECIMALS), np.round(auc, DECIMALS)
