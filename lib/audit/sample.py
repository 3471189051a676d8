"""Which windows of a text stand for all of them, where scoring all would cost too much."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.audit import windows
from lib.audit.windows import Cut


def chosen(ids: NDArray[np.integer], cut: Cut, most: int, seed: int) -> NDArray[np.int64]:
    """Where at most `most` windows of a text begin, in tokens, rising, (windows,); their suffixes do not overlap.

    ids: of the text, (tokens,). The order in which windows are taken is that of a hash of their own tokens and `seed`
    (`key`): neither other texts nor the number of parts changes it.
    """
    taken: list[int] = []
    starts = windows.starts(len(ids), cut).tolist()
    for start in sorted(starts, key=lambda at: (key(ids[at : at + cut.length], seed), at)):
        if len(taken) < most and all(abs(start - other) >= cut.suffix_tokens for other in taken):
            taken.append(start)
    return np.array(sorted(taken), dtype=np.int64)


def key(ids: NDArray[np.integer], seed: int) -> int:
    """A number below 2^63 that depends on the tokens of a window and on `seed` alone."""
    data = np.append(np.asarray(ids), seed).astype("<i8").tobytes()
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little") >> 1


def of_texts(
    ids: Sequence[NDArray[np.integer]], cut: Cut, most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The chosen windows of texts: which text each is of, and where it begins, both (windows,)."""
    found = [chosen(one, cut, most, seed) for one in ids]
    text = np.repeat(np.arange(len(found)), [len(one) for one in found])
    return text, np.concatenate([np.zeros(0, dtype=np.int64), *found])
