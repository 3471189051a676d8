"""ReCaLL (Xie et al. 2024, arXiv 2406.15968): a prefix of non-members makes a member relatively less likely."""

import numpy as np
from numpy.typing import NDArray

from lib.base import ragged

LABEL = "ReCaLL"
STYLE = ("#000000", "X", ":")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, prefixed_log_probs: ragged.Rows) -> NDArray[np.float64]:
    """LL(x | prefix) / LL(x) over the same target tokens, shape (n,).

    Both are negative: members, which the prefix helps less, have the larger quotient. Raises ValueError for rows
    that do not cover the same tokens.
    """
    if not np.array_equal(ragged.lengths(log_probs), ragged.lengths(prefixed_log_probs)):
        raise ValueError("the texts with and without a prefix are not scored over the same tokens")
    return ragged.means(prefixed_log_probs) / ragged.means(log_probs)
