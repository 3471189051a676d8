"""Finds one sequence of ids inside another."""

import numpy as np
from numpy.typing import ArrayLike


def find(document: ArrayLike, ids: ArrayLike) -> np.ndarray:
    """First positions of `ids` as a contiguous run of `document`: int64, ascending, overlapping runs included."""
    document, ids = np.asarray(document, dtype=np.int64), np.asarray(ids, dtype=np.int64)
    starts: np.ndarray = np.arange(max(0, len(document) - len(ids) + 1) if len(ids) else 0)
    for shift, wanted in enumerate(ids):
        if starts.size == 0:
            break
        starts = starts[document[starts + shift] == wanted]
    return starts
