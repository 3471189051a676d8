"""The smallest difference in rho that a number of canaries and seeds can show.

The standard error of an AUC A over n members and m non-members is that of Hanley and McNeil (1982),

    n m var(A) = A (1 - A) + (n - 1) (A / (2 - A) - A^2) + (m - 1) (2 A^2 / (1 + A) - A^2).

Two settings on the same canaries have AUCs that rise and fall together (correlation r), so that their difference has
variance 2 (1 - r) var(A). On other canaries each rho is read off an exact curve of its own, with the same correlation
between the two, and the difference has twice that. Through the slope c' of the exact curve, rho = (nu_eq - 1) /
(nu_max - 1) has the error of the AUC over c' (nu_max - 1); S seeds, each with canaries of its own, divide it by
sqrt(S). Curve and r are those of the published AUCs of the ratio attack. What training itself adds from seed to seed is
left out, but for its share in r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from lib.statistics.rho import isotonic_fit

ATTACK = "ratio"  # the attack behind every published rho
LEVEL, POWER = 0.05, 0.8
PLACES = (0.9, 0.5, 0.1)  # the rho at which differences are reported: the curve is flatter at its top


@dataclass(frozen=True)
class Typical:
    """A typical exact curve: copies (levels,) from 1 and its AUCs (levels,), not falling; and the correlation of AUCs
    over the same canaries."""

    copies: np.ndarray
    auc: np.ndarray
    correlation: float


@dataclass(frozen=True)
class Detectable:
    """At `rho`, where the exact curve has `auc`: the standard error of one seed's AUC, and the least difference in rho
    that is found, by two settings on the same canaries and on other ones."""

    rho: float
    auc: float
    auc_error: float
    same_canaries: float
    other_canaries: float


def detectable(
    members: int, non_members: int, seeds: int, typical: Typical, level: float = LEVEL, power: float = POWER
) -> list[Detectable]:
    """The difference in rho that a two-sided z test at `level` finds with probability `power`, at each of PLACES.

    Infinite where the curve does not rise. Raises ValueError for no canary or no seed.
    """
    if min(members, non_members, seeds) < 1:
        raise ValueError(f"{members} members, {non_members} non-members, {seeds} seeds; each must be at least 1")
    factor = (ndtri(1 - level / 2) + ndtri(power)) / np.sqrt(seeds)
    return [_at(rho, members, non_members, typical, factor) for rho in PLACES]


def _at(rho: float, members: int, non_members: int, typical: Typical, factor: float) -> Detectable:
    nu_max = typical.copies[-1]
    nu = 1 + rho * (nu_max - 1)
    auc = float(np.interp(nu, typical.copies, typical.auc))
    error = auc_error(auc, members, non_members)
    rise = _slope(typical, nu) * (nu_max - 1)
    same = factor * error * np.sqrt(2 * (1 - typical.correlation))
    differences = [float(value / rise) if rise > 0 else float("inf") for value in (same, same * np.sqrt(2))]
    return Detectable(rho, auc, error, *differences)


def auc_error(auc: float, members: int, non_members: int) -> float:
    """The standard error of an AUC by Hanley and McNeil (1982). Raises ValueError for an AUC outside [0, 1]."""
    if not 0 <= auc <= 1:
        raise ValueError(f"the AUC is {auc}; it must be between 0 and 1")
    above, below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (members - 1) * (above - auc**2) + (non_members - 1) * (below - auc**2)
    return float(np.sqrt(max(0.0, spread) / (members * non_members)))


def _slope(typical: Typical, nu: float) -> float:
    """The rise of the curve for one copy, over the copy before and the copy after (as far as there are any)."""
    ends = np.clip([nu - 1, nu + 1], typical.copies[0], typical.copies[-1])
    before, after = np.interp(ends, typical.copies, typical.auc)
    return float((after - before) / (ends[1] - ends[0]))


def typical(aucs: pd.DataFrame, copies: Sequence[int]) -> Typical:
    """The mean exact curve of published AUCs at these copies, made monotone, and how AUCs over the same canaries go
    together.

    aucs: columns model, seed, attack, variable (repetitions, replacements), value, auc. Copies beyond the published
    ones stand at the last of these. Raises ValueError unless copies are at least two, from 1 on.
    """
    levels = np.array(sorted(set(copies)), dtype=np.float64)
    if len(levels) < 2 or levels[0] != 1:
        raise ValueError(f"copies are {sorted(set(copies))}; an exact curve needs nu = 1 and a larger nu")
    rows = aucs[aucs["attack"] == ATTACK]
    exact = rows[rows["variable"] == "repetitions"].groupby("value")["auc"].mean()
    curve = isotonic_fit(exact.to_numpy())
    return Typical(levels, np.interp(levels, exact.index.to_numpy(float), curve), _correlation(rows))


def _correlation(rows: pd.DataFrame) -> float:
    """The correlation over seeds of the AUCs of two fuzzy settings, pooled over models and pairs of settings: from
    residuals about each model's mean, var(mean of k settings) = (1 + (k - 1) r) var / k."""
    fuzzy = rows[rows["variable"] == "replacements"]
    wide = fuzzy.pivot_table(index=["model", "seed"], columns="value", values="auc")
    residuals = (wide - wide.groupby("model").transform("mean")).to_numpy()
    variances = residuals.var(axis=0).mean()
    between = residuals.mean(axis=1).var()  # what all settings share
    settings = residuals.shape[1]
    return float((settings * between / variances - 1) / (settings - 1))
