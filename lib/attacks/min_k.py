"""Min-K% Prob (Shi et al. 2024, arXiv 2310.16789): even the least likely tokens of a trained text are less unlikely."""

import numpy as np
from numpy.typing import NDArray

from lib.attacks.padding import counted
from lib.base import ragged

LABEL = "min-k"
STYLE = ("#56B4E9", "D", "--")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, k: float = 0.2) -> NDArray[np.float64]:
    """Mean of the lowest max(1, floor(k n)) of the n values l of each text, nats per token, shape (n texts,)."""
    return ragged.lowest_means(log_probs, share(log_probs, k))


def paper(log_probs: ragged.Rows, padding_log_probs: NDArray[np.float64], tokens: int = 20) -> NDArray[np.float64]:
    """Mean of the lowest `tokens` values l whatever the length, as published code does, shape (n texts,).

    It counts a padding token (see `lib.attacks.padding`). Those after it have l = 0: they are among the lowest of a
    padded text with fewer than `tokens` tokens. A text that is not padded has all its tokens then.
    """
    rows = counted(log_probs, padding_log_probs)
    lengths = ragged.lengths(rows)
    width = np.where(np.isnan(padding_log_probs), lengths, lengths.max(initial=1))
    return ragged.sums([np.sort(row)[:tokens] for row in rows]) / np.minimum(tokens, width)


def share(rows: ragged.Rows, k: float) -> NDArray[np.int64]:
    """max(1, floor(k n)) for every row. Raises ValueError unless 0 < k <= 1."""
    if not 0 < k <= 1:
        raise ValueError(f"k is {k}; it must be above 0 and at most 1, a share of the tokens")
    # 0.29 * 100 is 28.999999999999996 in binary: a hair more before the floor
    return np.maximum(1, np.floor(k * ragged.lengths(rows) + 1e-9)).astype(np.int64)
