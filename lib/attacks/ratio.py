"""The reference attack (Carlini et al. 2021, arXiv 2012.07805): likelihood against that of a reference model."""

import numpy as np
from numpy.typing import NDArray

from lib.attacks.padding import counted
from lib.base import ragged

LABEL = "ratio"
STYLE = ("#D55E00", "s", "-")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, reference_means: NDArray[np.float64]) -> NDArray[np.float64]:
    """mean l - mean l of the reference, each over its own tokens (nats per token), shape (n,)."""
    return ragged.means(log_probs) - reference_means


def paper(
    log_probs: ragged.Rows, padding_log_probs: NDArray[np.float64], reference_padded_means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The published ratio of perplexities, negated so that higher means member; both count a padding token (see
    `lib.attacks.padding`)."""
    return -np.exp(reference_padded_means - ragged.means(counted(log_probs, padding_log_probs)))
