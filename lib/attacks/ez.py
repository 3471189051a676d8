"""EZ, the error zone (Ilic et al. 2026, arXiv 2601.12104): fine-tuning lifts even tokens that are still mispredicted.

With D_t = l_t - l_t of the reference and E the positions whose token the target does not rank first,
P = sum over E of max(D, 0) and N = sum over E of max(-D, 0). The published score is P / N; ours is its logarithm,
ln((P + SMOOTHING) / (N + SMOOTHING)), the same order wherever P and N are not vanishing, and finite everywhere.
A text without any error is the strongest member, as the paper says (published code scores it, and N = 0, as 0).
"""

import numpy as np
from numpy.typing import NDArray

from lib.base import ragged

LABEL = "EZ"
STYLE = ("#5E3C99", "p", "-.")  # colour, marker, dash in figures
SMOOTHING = 1e-6  # nats
FAULTLESS = float(np.log(1e9 / SMOOTHING))  # above any text with an error: P stays below 1e9 nats


def score(log_probs: ragged.Rows, top_log_probs: ragged.Rows, reference_log_probs: ragged.Rows) -> NDArray[np.float64]:
    """ln(P / N) over the error zone, shape (n,). Raises ValueError for rows that do not cover the same tokens."""
    shifts = ragged.differences(log_probs, reference_log_probs)
    gaps = ragged.differences(log_probs, top_log_probs)
    return np.array([_imbalance(shift[gap < 0]) for shift, gap in zip(shifts, gaps)])


def _imbalance(shift: NDArray[np.float64]) -> float:
    if len(shift) == 0:
        return FAULTLESS
    up, down = np.maximum(shift, 0).sum(), np.maximum(-shift, 0).sum()
    return float(np.log(up + SMOOTHING) - np.log(down + SMOOTHING))
