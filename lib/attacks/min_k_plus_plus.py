"""Min-K%++ (Zhang et al. 2025, arXiv 2404.02936): l standardised by the model's own distribution at each position."""

import numpy as np
from numpy.typing import NDArray

from lib.attacks.min_k import share
from lib.base import ragged

LABEL = "min-k++"
STYLE = ("#CC79A7", "P", "-.")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, mu: ragged.Rows, sigma: ragged.Rows, k: float = 0.2) -> NDArray[np.float64]:
    """Mean of the lowest max(1, floor(k n)) of the n values (l - mu) / sigma of each text, shape (n texts,)."""
    rows = [standardise(*row) for row in zip(log_probs, mu, sigma, strict=True)]
    return ragged.lowest_means(rows, share(rows, k))


paper = score  # the published code computes the same, with k = 20 %


def standardise(log_probs: NDArray, mu: NDArray, sigma: NDArray) -> NDArray[np.float64]:
    """(l - mu) / sigma; 0 where the distribution is uniform (sigma = 0: every token is as likely as expected)."""
    deviation = np.asarray(log_probs, dtype=np.float64) - mu
    return np.divide(deviation, sigma, out=np.zeros_like(deviation), where=np.asarray(sigma) > 0)
