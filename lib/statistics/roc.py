"""ROC of membership scores: AUC, its bootstrap and DeLong test, TPR at low FPR.

Members are the positives and every score is oriented so that higher means member.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

FPR_TARGETS = (0.1, 0.01, 0.001)


class Roc(NamedTuple):
    """An ROC curve: float64 arrays of equal length, from (0, 0) to (1, 1); `threshold` falls from +inf."""

    fpr: np.ndarray
    tpr: np.ndarray
    threshold: np.ndarray


class DeLong(NamedTuple):
    """A paired DeLong test: AUC of a minus AUC of b, its standard error, z and the two-sided p-value."""

    difference: float
    standard_error: float
    z: float
    p_value: float


def auc(members: ArrayLike, non_members: ArrayLike) -> float:
    """P(member > non-member) + P(equal) / 2, the area under the ROC curve (Mann-Whitney U).

    members: (n,), non_members: (m,), numbers. Raises ValueError when either is empty or holds a NaN.
    """
    positive, negative = _scores(members, non_members)
    ordered = np.sort(negative)
    below, not_above = (np.searchsorted(ordered, positive, side).sum() for side in ("left", "right"))
    return float((below + not_above) / 2 / (len(positive) * len(negative)))


def resample_counts(n: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """How often each of `n` canaries appears in each of `draws` bootstrap samples of size n: (draws, n) float64."""
    return generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def bootstrap_auc(
    members: ArrayLike, non_members: ArrayLike, member_counts: np.ndarray, non_member_counts: np.ndarray
) -> np.ndarray:
    """The AUC of every bootstrap sample: (draws,) float64.

    member_counts: (draws, n), non_member_counts: (draws, m), from `resample_counts`: members and non-members are
    drawn apart (stratified). Shared counts pair the samples of several settings over the same canaries.
    AUC_b = sum_ij a_bi K_ij c_bj / (n m), with K_ij = 1, 1/2, 0 as member i scores above, at or below
    non-member j; all terms are multiples of 1/2, so the sum is exact in any order.
    Raises ValueError for empty or NaN scores, or counts of another shape.
    """
    positive, negative = _scores(members, non_members)
    if member_counts.shape[1:] != positive.shape or non_member_counts.shape[1:] != negative.shape:
        raise ValueError(
            f"resample counts of shapes {member_counts.shape}, {non_member_counts.shape} do not fit "
            f"{len(positive)} members and {len(negative)} non-members"
        )
    sums = np.einsum("bj,bj->b", member_counts @ _kernel(positive, negative), non_member_counts)
    return sums / (len(positive) * len(negative))


def roc_points(members: ArrayLike, non_members: ArrayLike) -> Roc:
    """The ROC curve with one point for every distinct score (tied scores move both rates at once).

    A point counts scores >= threshold. members: (n,), non_members: (m,). Raises ValueError as `auc` does.
    """
    positive, negative = (np.sort(scores) for scores in _scores(members, non_members))
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    fpr = (len(negative) - np.searchsorted(negative, thresholds, side="left")) / len(negative)
    tpr = (len(positive) - np.searchsorted(positive, thresholds, side="left")) / len(positive)
    return Roc(np.append(0.0, fpr), np.append(0.0, tpr), np.append(np.inf, thresholds))


def tpr_at_fpr(members: ArrayLike, non_members: ArrayLike, target: float) -> float:
    """The largest TPR of any threshold whose FPR does not exceed `target` (no interpolation between points).

    Raises ValueError as `auc` does, or when `target` is not between 0 and 1.
    """
    if not 0 <= target <= 1:
        raise ValueError(f"the target FPR is {target}; it must be between 0 and 1")
    curve = roc_points(members, non_members)
    return float(curve.tpr[curve.fpr <= target].max())


def delong_test(
    members_a: ArrayLike, non_members_a: ArrayLike, members_b: ArrayLike, non_members_b: ArrayLike
) -> DeLong:
    """The paired test of DeLong, DeLong and Clarke-Pearson (1988) between two attacks on the same canaries.

    Each attack scores the same n members and m non-members, in the same order. The variance of the difference is
    var(V10_a - V10_b) / n + var(V01_a - V01_b) / m over the structural components (ddof 1). Equal attacks give
    z = 0 and p = 1; a non-zero difference without variance gives z = +-inf and p = 0.
    Raises ValueError as `auc` does, when lengths differ, or for fewer than two canaries of a kind.
    """
    positives = np.stack(_paired(members_a, members_b, "members"))
    negatives = np.stack(_paired(non_members_a, non_members_b, "non-members"))
    v10, v01 = zip(*map(_structural_components, positives, negatives), strict=True)
    difference = float(v10[0].mean() - v10[1].mean())
    variance = np.var(v10[0] - v10[1], ddof=1) / len(v10[0]) + np.var(v01[0] - v01[1], ddof=1) / len(v01[0])
    error = float(np.sqrt(variance))
    z = _z(difference, error)
    return DeLong(difference, error, z, math.erfc(abs(z) / math.sqrt(2)))


def _z(difference: float, error: float) -> float:
    if difference == 0:
        return 0.0
    return difference / error if error > 0 else float(np.copysign(np.inf, difference))


def _structural_components(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V10 (n,): the share of non-members below each member; V01 (m,): the share of members above each non-member."""
    kernel = _kernel(positive, negative)
    return kernel.mean(axis=1), kernel.mean(axis=0)


def _kernel(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """(n, m): 1 where the member scores higher, 1/2 where equal, 0 where lower."""
    above = positive[:, None] > negative
    return above + 0.5 * (positive[:, None] == negative)


def _paired(a: ArrayLike, b: ArrayLike, kind: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = _vector(a, kind), _vector(b, kind)
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"a paired test needs the same {kind} twice, at least 2; found {len(first)} and {len(second)}")
    return first, second


def _scores(members: ArrayLike, non_members: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    return _vector(members, "members"), _vector(non_members, "non-members")


def _vector(values: ArrayLike, kind: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"scores of {kind} have the shape {array.shape}; give one number for each, and at least one")
    if np.isnan(array).any():
        raise ValueError(f"scores of {kind}: row {int(np.argmax(np.isnan(array)))} is NaN; score that text again")
    return array
