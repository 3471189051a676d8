"""The padding token that published scoring counts.

Published code scores the members in one batch and the non-members in another, padded on the right with EOS to the
longest text. It takes the first padding token of every shorter text for a token of that text. Canaries have one length
under the target, so loss, min-k and zlib are not changed; lowercased, or under the reference's tokenizer, they have
several. `padding` is l of that token after each text, shape (n,), NaN for the longest texts, which have none.
"""

import numpy as np
from numpy.typing import NDArray

from lib.base import ragged


def counted(rows: ragged.Rows, padding: NDArray[np.float64]) -> ragged.Rows:
    """The rows that published code sees: those of padded texts end in the padding token."""
    return [row if np.isnan(last) else np.append(row, last) for row, last in zip(rows, padding, strict=True)]


def means(sums: NDArray[np.float64], tokens: NDArray[np.integer], padding: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of `counted` rows, from their sums and lengths without it; shape (n,)."""
    return (sums + np.nan_to_num(padding)) / (tokens + ~np.isnan(padding))
