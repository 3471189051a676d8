"""WBC, window-based comparison (Chen et al. 2026, arXiv 2601.02751): windows vote on where the target is the likelier.

With D_t = l_t - l_t of the reference, a window of w tokens votes for a member when the sum of its D is above 0;
T(w) is the share of all n - w + 1 windows that do, and the score the mean of T over the published window sizes.
"""

import numpy as np
from numpy.typing import NDArray

from lib.base import ragged

LABEL = "WBC"
STYLE = ("#8C510A", ">", "--")  # colour, marker, dash in figures
WINDOWS = (2, 3, 4, 6, 9, 13, 18, 25, 32, 40)


def score(log_probs: ragged.Rows, reference_log_probs: ragged.Rows) -> NDArray[np.float64]:
    """Mean share of windows that vote for a member, in [0, 1], shape (n,).

    A window longer than the text is the whole text, as in published code. Raises ValueError for rows that do not
    cover the same tokens.
    """
    return np.array([_votes(row) for row in ragged.differences(log_probs, reference_log_probs)])


def _votes(difference: NDArray[np.float64]) -> float:
    before = np.concatenate([[0.0], np.cumsum(difference)])
    sizes = np.minimum(WINDOWS, len(difference))
    return float(np.mean([np.mean(before[size:] > before[:-size]) for size in sizes]))
