"""Rows that a model computes, stored block by block: a killed task goes on at its first missing one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lib.base import blocks, places
from lib.base.progress import Advance, Meter

Columns = dict[str, np.ndarray]
Score = Callable[[slice, Advance], Columns]  # the columns of some rows, each (rows, ...)


def make(out: Path, made_from: str, n: int, size: int, load: Callable[[], Score]) -> Iterator[Columns]:
    """Make the missing blocks of `n` windows, `size` at a time, then give the columns of all, in order.

    out: the artifact; made_from: the digest of its task; load: reads the model, only if a block is missing.
    """
    folder = out / places.BLOCKS
    blocks.claim(folder, made_from)
    rows = {f"{low:09d}-{high:09d}": slice(low, high) for low, high in blocks.ranges(0, n, size)}
    if missing := blocks.missing(folder, list(rows)):
        score = load()
        begun = n - sum(rows[name].stop - rows[name].start for name in missing)
        with Meter(out, n, "windows", begun=begun) as meter:
            for name in missing:
                blocks.write(blocks.file(folder, name), score(rows[name], meter.advance))
    return (blocks.read(folder, name) for name in rows)
