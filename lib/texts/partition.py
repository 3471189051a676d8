"""Splits a list of files into consecutive parts of about equal size."""

from collections.abc import Sequence

import numpy as np

from lib.base.errors import TesseraError, counted


def split(sizes: Sequence[int], parts: int) -> list[range]:
    """Consecutive files in `parts` ranges, as even by bytes as whole files allow; every range has a file.

    Cut k stands where the bytes before it come nearest to k / parts of all: half a file away at most, where every
    range can have a file. sizes: bytes of each file. Raises TesseraError for fewer files than parts.
    """
    count = len(sizes)
    if not 1 <= parts <= count:
        raise TesseraError(
            f"{counted(count, 'file')} cannot fill {counted(parts, 'chunk')}; give more files, or fewer chunks (at "
            "least one)"
        )
    before = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    cuts = [0]
    for part in range(1, parts):
        low, high = cuts[-1] + 1, count - parts + part  # leaves a file for each part before and after
        cuts.append(low + _nearest(before[low : high + 1], int(before[-1]) * part, parts))
    return [range(start, stop) for start, stop in zip(cuts, [*cuts[1:], count])]


def _nearest(ascending: np.ndarray, numerator: int, denominator: int) -> int:
    """The first index whose value comes nearest to numerator / denominator (exact: no float)."""
    above = int(np.searchsorted(ascending, -(-numerator // denominator)))
    nearby = range(max(above - 1, 0), min(above + 1, len(ascending)))
    best = min(nearby, key=lambda index: abs(int(ascending[index]) * denominator - numerator))
    return int(np.searchsorted(ascending, ascending[best]))
