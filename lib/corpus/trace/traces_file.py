"""Writes traces.h5: what was found of many texts in a corpus."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.base import hdf5
from lib.base.errors import counted
from lib.corpus.chunks import Chunk
from lib.corpus.trace.by_ranks import LookedFor, Traces

EXTRACTABLE = 50  # tokens of a run that counts as extracted (Nasr et al. 2023, arXiv 2311.17035)
TYPES = {
    "count": "<u8",
    "position": "<u8",
    "document": "<u8",
    "token": "<u8",
    "run": "<u8",
    "exact": "u1",
}  # others <u4


def write(path: Path, found: Traces, corpus: Sequence[Chunk], wanted: LookedFor) -> None:
    """Write the columns, and as attributes what was looked for."""
    with hdf5.create(path) as file:
        for name in ("tokens", "longest"):
            hdf5.write(file, name, getattr(found, name).astype("<u4"))
        for name in ("runs", "places", "near"):
            group = file.create_group(name)
            for column, values in getattr(found, name).items():
                hdf5.write(group, column, values.astype(TYPES.get(column, "<u4")))
        known = {key: value for key, value in asdict(wanted).items() if value is not None and key != "block_texts"}
        n_tokens, extractable = sum(chunk.n_tokens for chunk in corpus), int((found.longest >= EXTRACTABLE).sum())
        file.attrs.update(known, n_tokens=n_tokens, extractable=extractable)


def extracted(longest: NDArray[np.integer]) -> str:
    """How many texts have a run that counts as extracted, in a sentence. longest: tokens of each text's longest run."""
    n = int((longest >= EXTRACTABLE).sum())
    return (
        f"{n:,} of {len(longest):,} texts have a run of at least {EXTRACTABLE} tokens that stands in the "
        f"corpus; the longest run has {counted(int(longest.max(initial=0)), 'token')}"
    )
