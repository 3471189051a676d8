"""The loss attack (Yeom et al. 2018, arXiv 1709.01604): a text that was trained on is more likely."""

import numpy as np
from numpy.typing import NDArray

from lib.attacks.padding import counted
from lib.base import ragged

LABEL = "loss"
STYLE = ("#0072B2", "o", "-")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows) -> NDArray[np.float64]:
    """mean l, nats per token, shape (n,)."""
    return ragged.means(log_probs)


def paper(log_probs: ragged.Rows, padding_log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The published perplexity (see `lib.attacks.padding`), negated so that higher means member. Texts of one length
    have the same order as by `score`."""
    return -np.exp(-ragged.means(counted(log_probs, padding_log_probs)))
