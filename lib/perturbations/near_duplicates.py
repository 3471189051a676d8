"""Near-duplicates of targets as a perturbation: which lie in a band of distance, and which targets have all bands."""

from collections.abc import Mapping, Sequence

import numpy as np

Band = tuple[int, int]  # the least and the largest distance


def in_band(near: Mapping[str, np.ndarray], band: Band) -> dict[int, np.ndarray]:
    """Target -> the rows of its near-duplicates whose distance lies in `band`, in their order: int64.

    near: columns `target` and `distance` (n,).
    """
    rows = np.flatnonzero((near["distance"] >= band[0]) & (near["distance"] <= band[1]))
    targets = np.asarray(near["target"])[rows]
    return {int(target): rows[targets == target] for target in np.unique(targets)}


def eligible(near: Mapping[str, np.ndarray], bands: Sequence[Band]) -> np.ndarray:
    """The targets that have a near-duplicate in every band, increasing: int64. All bands compare the same canaries."""
    sets = [set(in_band(near, band)) for band in bands]
    return np.array(sorted(set.intersection(*sets)), dtype=np.int64)


def bands(edges: Sequence[int]) -> list[Band]:
    """(1, e1), (e1 + 1, e2), ...: [10, 20] is 1-10 and 11-20. Raises ValueError unless edges rise from 1 on."""
    lows = [1, *(edge + 1 for edge in edges[:-1])]
    found = list(zip(lows, edges))
    if not found or any(low > high for low, high in found):
        raise ValueError(f"the upper ends of bands rise, from 1 on; got {list(edges)}")
    return found
