"""Reads and writes cuts-NN.h5: which tokens of the documents of one chunk go.

document    uint64, number of the document in the chunk, rising
start, stop uint64, tokens in that document; cuts of one document rise and are apart
copies      uint32, the most equal windows of any window in it, in the whole corpus (0: not known)
cause       uint8, bits: 1 exact duplicate, 2 in the other corpus, 4 near a given text, 8 the whole document
attributes  tokens_digest (of the chunk), n_documents, n_tokens
"""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.cleaning.ranges import Cuts

DTYPES = {"document": "<u8", "start": "<u8", "stop": "<u8", "copies": "<u4", "cause": "u1"}
NONE = np.zeros(0, np.int64)


def write(path: Path, chunk: Chunk, parts: Iterable[Cuts]) -> None:
    """Write the cuts of a chunk, part after part, in the order of its documents."""
    with hdf5.create(path) as file:
        for cuts in (Cuts(NONE, NONE, NONE, NONE, NONE.astype(np.uint8)), *parts):
            for name, dtype in DTYPES.items():
                hdf5.append(file, name, getattr(cuts, name).astype(dtype))
        file.attrs.update(
            tokens_digest=chunks.digest(chunk), n_documents=len(chunk.offsets) - 1, n_tokens=chunk.n_tokens
        )


def check(path: Path, chunk: Chunk) -> None:
    """Raise TesseraError unless the cuts in `path` are of this chunk."""
    if hdf5.attributes(path).get("tokens_digest") != chunks.digest(chunk):
        raise TesseraError(f"{path}: its cuts are not of {chunk.path}; give the chunks they were made from")


def of_documents(path: Path, low: int, high: int) -> Cuts:
    """The cuts of the documents low .. high - 1 of a chunk; numbers of documents as in the file."""
    with hdf5.opened(path) as file:
        document = file["document"]
        first, last = (_search(document, number) for number in (low, high))
        columns = (file[name][first:last] for name in DTYPES)
        return Cuts(*(values if name == "cause" else values.astype(np.int64) for name, values in zip(DTYPES, columns)))


def _search(ascending: h5py.Dataset, number: int) -> int:
    """The first row of a dataset that is not below `number`, read one value at a time."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if ascending[middle] < number else (low, middle)
    return low
