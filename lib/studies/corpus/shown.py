"""Which near-duplicates a report shows, by rule: those of the first target of each bucket that has any."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.artifacts import inputs
from lib.base import hdf5
from lib.corpus import chunks
from lib.plans.finished import directory
from lib.plans.plan import Plan, Task
from lib.reporting.excerpts import Excerpt
from lib.studies import texts
from lib.studies.corpus import excerpts, figures
from lib.studies.corpus.excerpts import Window
from lib.studies.corpus.tables import LEVENSHTEIN

PLACE = ("chunk", "position")
CAPTION = (
    "The first target of the bucket that has near-duplicates, and of these the nearest, the middle one and the "
    "farthest by Levenshtein distance, exact copies apart. Documents and tokens are counted from 0, as in the files."
)


def make(root: Path, plan: Plan, scan: Task, targets: Path, near_duplicates: Path) -> Iterator[Excerpt]:
    """An excerpt for each bucket that has near-duplicates, the random one (0) last.

    scan: the task of near_duplicates.h5. Both files were compared already; the ranges of chunks are compared here.
    """
    corpus = [str(digest) for digest in scan.inputs["corpus"]]
    decode = texts.decoder(root, plan, str(plan.tasks[corpus[0]].inputs["tokenizer"]))
    near = {name: hdf5.read(near_duplicates, f"{LEVENSHTEIN}/{name}") for name in ("target", "distance", *PLACE)}
    found = {name: hdf5.read(targets, name) for name in ("bucket", "count", *PLACE)}
    folders = [directory(root, plan.tasks[digest]) for digest in corpus]
    length = hdf5.read(targets, "tokens").shape[1]
    rows = excerpts.chosen(near["target"], near["distance"], found["bucket"])
    for bucket in sorted(rows, key=lambda one: (one == 0, one)):
        target = int(near["target"][rows[bucket][0]])
        chunk, position = (np.append(found[name][target], near[name][rows[bucket]]).astype(np.int64) for name in PLACE)
        first, *others = _windows(folders, chunk, position, length)
        listed = list(zip(near["distance"][rows[bucket]].tolist(), others))
        shown = excerpts.passages(decode, first, int(found["count"][target]), listed)
        yield Excerpt(f"Targets, {figures.label_of(bucket)}", CAPTION, [[one] for one in shown])


def _windows(folders: Sequence[Path], chunk: NDArray, position: NDArray, length: int) -> list[Window]:
    """The windows at positions (n,) of chunks (n,), each range compared with what was written, one chunk at a time."""
    found: dict[int, Window] = {}
    for index in np.unique(chunk).tolist():
        opened = chunk_of(folders[index])
        rows = np.flatnonzero(chunk == index)
        chunks.check_windows([opened], np.zeros(len(rows), np.int64), position[rows], length)
        found |= {row: excerpts.window_at(opened, int(position[row]), length) for row in rows.tolist()}
    return [found[row] for row in range(len(chunk))]


def chunk_of(folder: Path) -> chunks.Chunk:
    """The chunk of a finished task, its outline compared: a chunk may be larger than what can be read here."""
    inputs.compare(inputs.identify({"corpus": folder}))
    return chunks.only(folder)
