"""Which cuts a report shows, by rule: the first one of each cause and number of copies."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.plans.finished import directory
from lib.plans.plan import Plan, Task
from lib.reporting.excerpts import AROUND, LACKING, Excerpt, Passage, passage
from lib.studies import texts
from lib.studies.corpus.shown import chunk_of
from lib.studies.dedup.tables import cause_of
from lib.studies.texts import Decode

CONTEXT = 40  # tokens on both sides of a cut
CAPTION = (
    "The first cut of the corpus with this cause and about so many equal windows (by powers of ten): what went, and up "
    f"to {CONTEXT} tokens on both sides. Documents and tokens are counted from 0, as in the files."
)
COLUMNS = ("chunk", "document", "start", "stop", "in_file", "file", "copies", "cause")


def make(root: Path, plan: Plan, task: Task, cleaned: Path) -> Iterator[Excerpt]:
    """An excerpt for each cause. task: that of cleaned.h5, which was compared; ranges of chunks are compared here."""
    from lib.corpus import chunks

    decode = texts.decoder(root, plan, str(task.inputs["tokenizer"]))
    columns = {name: hdf5.read(cleaned, name) for name in COLUMNS}
    files, rows = hdf5.read_texts(cleaned, "files"), first_rows(columns["cause"], columns["copies"])
    for cause in np.unique(columns["cause"][rows]).tolist():
        passages = []
        for row in rows[columns["cause"][rows] == cause].tolist():
            one = {name: int(values[row]) for name, values in columns.items()}
            chunk = chunk_of(directory(root, plan.tasks[str(task.inputs["tokens"][one["chunk"]])]))
            begin, end = chunk.offsets[one["document"] : one["document"] + 2].tolist()
            low, high = max(one["start"] - CONTEXT, 0), min(one["stop"] + CONTEXT, end - begin)
            chunks.check(chunk, begin + low, begin + high)
            ids = chunk.tokens[begin + low : begin + high].tolist()
            passages.append(_passage(decode, ids, one, low, files[one["file"]]))
        yield Excerpt(f"Cut: {cause_of(cause)}", CAPTION, [[one] for one in passages])


def first_rows(cause: NDArray, copies: NDArray) -> NDArray[np.int64]:
    """The first row of each cause and power of ten that its copies reach, by these; cause, copies: (n,)."""
    digits = np.searchsorted(10 ** np.arange(10), copies, "right")
    _, rows = np.unique(np.column_stack([cause, digits]), axis=0, return_index=True)
    return rows


def _passage(decode: Decode, ids: list[int], cut: dict[str, int], low: int, file: str) -> Passage:
    before, gone, after = texts.pieces(decode, ids, [cut["start"] - low, cut["stop"] - low, len(ids)])
    copies = f"{cut['copies']:,} equal windows; " if cut["copies"] else ""
    label = f"{copies}{file}, document {cut['in_file']:,}, tokens {cut['start']:,} to {cut['stop'] - 1:,}"
    return passage(label, [(before, AROUND), (gone, LACKING), (after, AROUND)])
