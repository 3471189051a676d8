"""Rows of unequal length (one per text), reduced to one number each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = Sequence[NDArray[np.floating]]
Ids = Sequence[int] | NDArray[np.integer]  # token ids of one text


def sums(rows: Rows) -> NDArray[np.float64]:
    """The sum of every row (0 for an empty one), float64, shape (n,)."""
    return np.array([np.sum(row, dtype=np.float64) for row in rows], dtype=np.float64)


def lengths(rows: Rows) -> NDArray[np.int64]:
    """The length of every row, int64, shape (n,)."""
    return np.array([len(row) for row in rows], dtype=np.int64)


def means(rows: Rows) -> NDArray[np.float64]:
    """The mean of every row, float64, shape (n,). Raises ValueError naming the first empty row."""
    counts = lengths(rows)
    if (counts == 0).any():
        raise ValueError(f"row {int(np.argmin(counts))}: no scored token; the text is too short")
    return sums(rows) / counts


def lowest_means(rows: Rows, counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """The mean of the `counts[i]` lowest values of row i (all of them when it has fewer), float64, shape (n,)."""
    return means([np.sort(row)[:count] for row, count in zip(rows, counts, strict=True)])


def differences(rows: Rows, others: Rows) -> list[NDArray[np.float64]]:
    """rows - others, row by row, float64. Raises ValueError naming the first row that is empty or of another length."""
    found = []
    for number, (row, other) in enumerate(zip(rows, others, strict=True)):
        if len(row) != len(other) or len(row) == 0:
            raise ValueError(f"row {number}: {len(row)} and {len(other)} scored tokens; both must have the same ones")
        found.append(np.asarray(row, dtype=np.float64) - np.asarray(other, dtype=np.float64))
    return found
