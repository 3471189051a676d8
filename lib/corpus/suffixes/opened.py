"""Opens a stored suffix array and checks it against its chunk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.base import hdf5
from lib.base.errors import Damaged, TesseraError
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.suffixes import order

USUAL_DEPTH = 1024  # of an array without the attribute `depth`


@dataclass(frozen=True)
class SuffixArray:
    """One open suffix array. positions: read-only memory map, uint32 or uint64, sorted by the first `depth` tokens."""

    path: Path
    positions: np.ndarray
    depth: int
    checksums: np.ndarray | None


def open_suffix_array(path: Path, chunk: Chunk) -> SuffixArray:
    """The suffix array of one chunk. Raises TesseraError when it belongs to another text, or has no positions."""
    with hdf5.opened(path) as file:
        if "positions" not in file:
            raise TesseraError(f"{path}: no dataset 'positions' (has: {', '.join(sorted(file)) or 'nothing'})")
        attributes: dict[str, Any] = dict(file.attrs)
        positions = chunks.memmap(path, file["positions"])
        checksums = file["checksums"][()] if "checksums" in file else None
    n_tokens, depth = int(attributes.get("n_tokens", len(positions))), int(attributes.get("depth", USUAL_DEPTH))
    if n_tokens != chunk.n_tokens or len(positions) != n_tokens:
        raise TesseraError(
            f"{path}: a suffix array of {n_tokens} tokens ({len(positions)} entries), but {chunk.path} has "
            f"{chunk.n_tokens}; give the arrays in the order of the corpus"
        )
    if "tokens_digest" in attributes and attributes["tokens_digest"] != chunks.digest(chunk):
        raise TesseraError(f"{path}: made from another text than {chunk.path}; give the array of this chunk")
    if depth < 1 or positions.dtype.kind not in "ui":
        raise TesseraError(f"{path}: {positions.dtype} sorted by {depth} tokens; it must be integers, by 1 or more")
    return SuffixArray(path, positions, depth, checksums)


def check_array(array: SuffixArray, chunk: Chunk, start: int, stop: int) -> None:
    """Check entries start .. stop - 1 by the checksums that cover them; without checksums, by the text of `chunk`.

    Raises Damaged or TesseraError naming the file.
    """
    if array.checksums is None:
        return _check_order(array, chunk, start, stop)
    first, last = start // chunks.CHECKED_TOKENS, -(-stop // chunks.CHECKED_TOKENS)
    if (chunks.checksums(array.positions, first, last) != array.checksums[first:last]).any():
        raise Damaged(array.path, f"entries {start} to {stop} are not what was written (checksum)")
    return None


def _check_order(array: SuffixArray, chunk: Chunk, start: int, stop: int) -> None:
    wrong = order.first_out_of_order(chunk.tokens, array.positions, array.depth, start, stop)
    if wrong is not None:
        raise TesseraError(
            f"{array.path}: entry {wrong} is {array.positions[wrong]}, which is not a position in {chunk.path}, or is "
            f"out of order by {array.depth} tokens; make the array again, or give its depth in the attribute `depth`"
        )
