"""Greedy choice among windows of one length: best distance first, then lowest position, none overlapping another.

What the choice over a whole text will be is often known from a part of it. `thin` drops the windows that cannot be
chosen whatever lies beyond the part, so that parts can be thinned one by one and chosen from in the end.
"""

import numpy as np
from numba import njit

UNDECIDED, CHOSEN, DROPPED = 0, 1, 2


def choose(positions: np.ndarray, distances: np.ndarray, length: int) -> np.ndarray:
    """Which windows are kept (bool). positions: int64, ascending, distinct; distances: integers.

    Two windows overlap when |p - q| < length. A window is kept when it overlaps none that was kept before it, in the
    order of (distance, position).
    """
    order = np.argsort(distances, kind="stable")
    return _decide(positions, order, length, np.zeros(len(positions), np.bool_)) == CHOSEN


def thin(positions: np.ndarray, distances: np.ndarray, length: int, low: int, high: int) -> np.ndarray:
    """Which windows (bool) may be chosen, or may keep others out, in a text of which this part holds [low, high).

    positions: int64, ascending, distinct: all windows found that start in [low, high), or what `thin` left of them.
    A window near an end may lose to one outside, so it is left open, and so is a worse one that overlaps an open one.
    """
    order = np.argsort(distances, kind="stable")
    open_ended = (positions - low < length - 1) | (high - positions < length)
    return _decide(positions, order, length, open_ended) != DROPPED


@njit(cache=True, nogil=True)
def _decide(positions, order, length, open_ended):
    state = np.full(len(positions), DROPPED, np.uint8)  # what comes later in the order counts as dropped
    for item in order:
        keeps_out, open_near = _neighbours(positions, state, item, length)
        if keeps_out:
            continue
        state[item] = UNDECIDED if open_near or open_ended[item] else CHOSEN
    return state


@njit(cache=True, nogil=True)
def _neighbours(positions, state, item, length):
    """Whether the window overlaps a chosen one, and whether it overlaps an undecided one."""
    chosen = undecided = False
    low = high = item
    while low > 0 and positions[item] - positions[low - 1] < length:
        low -= 1
        chosen |= state[low] == CHOSEN
        undecided |= state[low] == UNDECIDED
    while high + 1 < len(positions) and positions[high + 1] - positions[item] < length:
        high += 1
        chosen |= state[high] == CHOSEN
        undecided |= state[high] == UNDECIDED
    return chosen, undecided
