"""The lowercase attack (Carlini et al. 2021, arXiv 2012.07805): likelihood against that of the lowercased text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.attacks.padding import counted
from lib.base import ragged

LABEL = "lowercase"
STYLE = ("#E69F00", "v", "-.")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, lower_log_probs: ragged.Rows, texts: Sequence[str]) -> NDArray[np.float64]:
    """NLL(lower(x)) / bytes(lower(x)) - NLL(x) / bytes(x), nats per UTF-8 byte, shape (n,).

    Per byte, because the lowercased text is cut into another number of tokens.
    """
    lowered = [text.lower() for text in texts]
    return ragged.sums(log_probs) / _bytes(texts) - ragged.sums(lower_log_probs) / _bytes(lowered)


def paper(
    log_probs: ragged.Rows,
    lower_log_probs: ragged.Rows,
    padding_log_probs: NDArray[np.float64],
    lower_padding_log_probs: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The published ratio of perplexities per token, ppl(x) / ppl(lower(x)), negated; shape (n,). Both count a padding
    token (see `lib.attacks.padding`)."""
    lower = ragged.means(counted(lower_log_probs, lower_padding_log_probs))
    return -np.exp(lower - ragged.means(counted(log_probs, padding_log_probs)))


def _bytes(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([len(text.encode()) for text in texts], dtype=np.float64)
