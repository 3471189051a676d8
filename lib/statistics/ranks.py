"""The rank of one among others that are drawn like it: p-values that need no law of the values."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def among(margins: ArrayLike) -> NDArray[np.int64]:
    """The rank of each item among itself and its n others, 1 = the largest, (items,).

    margins: how far the item is above each of its others, (items, n). An other that ties with it counts as above it.
    """
    return 1 + (np.asarray(margins) <= 0).sum(axis=1)


def p_of_ranks(found: ArrayLike, places: int) -> float:
    """The one-sided p-value of "each item is as likely at every place" against small ranks, by the sum of the ranks.

    found: (items,), from 1 to `places`; exact, with items that are independent. NaN for no items. Raises ValueError for
    other ranks.
    """
    found = np.asarray(found, dtype=np.int64)
    if not ((found >= 1) & (found <= places)).all():
        raise ValueError(f"ranks are {found.tolist()}; they must be from 1 to {places}")
    if not len(found):
        return float("nan")
    law = np.ones(1)  # of the sum of the ranks, each less 1
    for _ in found:
        law = np.convolve(law, np.full(places, 1 / places))
    return float(min(1.0, law[: int((found - 1).sum()) + 1].sum()))


def p_of_one(value: float, others: ArrayLike) -> float:
    """The one-sided p-value of "the value is drawn like the others" against a larger one: (1 + others at least as
    large) / (1 + others). NaN for no others."""
    others = np.asarray(others, dtype=np.float64)
    return float((1 + (others >= value).sum()) / (1 + len(others))) if len(others) else float("nan")
