"""The zlib attack (Carlini et al. 2021, arXiv 2012.07805): likelihood against how well zlib compresses the text.

l is negative: a text that is hard to compress is expected to be unlikely, and dividing by its compressed size
brings it up to its peers.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.attacks.padding import counted
from lib.base import ragged

LABEL = "zlib"
STYLE = ("#009E73", "^", "--")  # colour, marker, dash in figures


def score(log_probs: ragged.Rows, texts: Sequence[str]) -> NDArray[np.float64]:
    """mean l / bytes of zlib(UTF-8), nats per token and byte, shape (n,)."""
    return ragged.means(log_probs) / compressed_bytes(texts)


def paper(log_probs: ragged.Rows, texts: Sequence[str], padding_log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The published mean l (see `lib.attacks.padding`) / (compressed bytes per character), shape (n,)."""
    characters = np.array([len(text) for text in texts], dtype=np.float64)
    return ragged.means(counted(log_probs, padding_log_probs)) * characters / compressed_bytes(texts)


def compressed_bytes(texts: Sequence[str]) -> NDArray[np.float64]:
    """Bytes of zlib(UTF-8) at zlib's default level, shape (n,)."""
    return np.array([len(zlib.compress(text.encode())) for text in texts], dtype=np.float64)
