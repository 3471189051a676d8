"""The loss attack (Yeom et al. 2018, arXiv 1709.01604): a text that was trained on is more likely."""

import numpy as np
from numpy.typing import NDArray

from lib.base import ragged

LABEL = "loss"
STYLE = ("#0072B2", "o", "-")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows) -> NDArray[np.float64]:
    """mean l, nats per token, shape (n,)."""
    return ragged.means(log_probs)


def paper(log_probs: ragged.Rows) -> NDArray[np.float64]:
    """The published perplexity, negated so that higher means member: the same order as `score`."""
    return -np.exp(-ragged.means(log_probs))
