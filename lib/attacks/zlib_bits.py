"""The zlib attack per compressed bit: the bits that the model needs for each bit that zlib needs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.attacks.zlib import compressed_bytes
from lib.base import ragged

LABEL = "zlib bits"
STYLE = ("#7A6A00", "<", ":")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, texts: Sequence[str]) -> NDArray[np.float64]:
    """sum l / ln 2 / (8 bytes of zlib(UTF-8)), bits per bit (negative), shape (n,)."""
    return ragged.sums(log_probs) / np.log(2) / (8 * compressed_bytes(texts))
