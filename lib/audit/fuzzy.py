"""A window against its fuzzy duplicates: by how much a model prefers the text as it stands."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5


class Made(NamedTuple):
    """The windows that have fuzzy duplicates, and how many rows of their scores each has: itself, then for each number
    of replaced tokens its variations.

    text, start: (windows,); replaced: numbers of replaced tokens, rising; variations: of each.
    """

    text: NDArray[np.integer]
    start: NDArray[np.integer]
    replaced: tuple[int, ...]
    variations: int


def read(path: Path) -> Made:
    """The windows of the stage fuzzy_windows. Raises TesseraError naming file and dataset for another file."""
    first = hdf5.read(path, "replaced") == 0
    about = hdf5.attributes(path)
    levels = tuple(np.asarray(about["replaced_tokens"]).tolist())
    return Made(hdf5.read(path, "text")[first], hdf5.read(path, "start")[first], levels, int(about["variations"]))


def margins(log_p: NDArray[np.floating], made: Made) -> NDArray[np.float64]:
    """ln p of each window less ln p of each of its duplicates, nats, (windows, levels, variations).

    log_p: of all rows of the stage fuzzy_windows, (rows,). Raises ValueError for another number of rows.
    """
    levels = len(made.replaced)
    if len(log_p) != len(made.text) * (1 + levels * made.variations):
        raise ValueError(f"{len(log_p)} scores for {len(made.text)} windows and their fuzzy duplicates")
    rows = np.asarray(log_p, dtype=np.float64).reshape(len(made.text), -1)
    return (rows[:, :1] - rows[:, 1:]).reshape(len(made.text), levels, made.variations)
