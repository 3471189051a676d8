"""Windows that a model scores, stored block by block: a killed task goes on at its first missing one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lib.base import blocks, hdf5, places
from lib.base.progress import Advance, Meter

Columns = dict[str, np.ndarray]


class Scorer(Protocol):
    """A model that was read once."""

    def scores(self, text: np.ndarray, start: np.ndarray, advance: Advance) -> Columns:
        """The columns of some windows, each (windows, ...). text, start: (windows,), see windows.of_texts."""


def make(
    out: Path, made_from: str, text: np.ndarray, start: np.ndarray, size: int, load: Callable[[], Scorer]
) -> Iterator[Columns]:
    """Make the missing blocks of windows, `size` at a time, then give the columns of all, in order.

    out: the artifact; made_from: the digest of its task; load: reads the model, only if a block is missing.
    """
    folder, n = out / places.BLOCKS, len(text)
    blocks.claim(folder, made_from)
    rows = {f"{low:09d}-{high:09d}": slice(low, high) for low, high in blocks.ranges(0, n, size)}
    if missing := blocks.missing(folder, list(rows)):
        scorer = load()
        begun = n - sum(rows[name].stop - rows[name].start for name in missing)
        with Meter(out, n, "windows", begun=begun) as meter:
            for name in missing:
                made = scorer.scores(text[rows[name]], start[rows[name]], meter.advance)
                blocks.write(blocks.file(folder, name), made)
    return (blocks.read(folder, name) for name in rows)


def assemble(
    path: Path, about: Mapping[str, Any], text: np.ndarray, start: np.ndarray, found: Iterable[Columns]
) -> None:
    """Write the windows as one file: attributes `about`, `text`, `start`, and the columns of all blocks in order."""
    with hdf5.create(path) as file:
        file.attrs.update(about)
        hdf5.write(file, "text", text.astype("<u4"))
        hdf5.write(file, "start", start.astype("<u4"))
        for columns in found:
            for column, values in columns.items():
                hdf5.append(file, column, values)
