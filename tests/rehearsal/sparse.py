"""A corpus of the counts of SlimPajama that is mostly holes: real text at both ends of every chunk.

Its chunk is put together by the code of the stage `tokenize`, from as many blocks as there are input files. All chunks
are links to that one file: what stands in one stands in each of them, at the same place.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.base import blocks, hdf5, places
from lib.corpus import chunk_writer

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

VOCABULARY, DTYPE = 50_257, np.dtype("<u2")


@dataclass(frozen=True)
class Size:
    """The counts of a corpus: chunks; files of each, with `documents` documents each; tokens of a document; and the
    documents at each end that hold text."""

    chunks: int = 20
    files: int = 3000
    documents: int = 10_000
    length: int = 1045
    real: int = 256

    @property
    def n_documents(self) -> int:
        """Documents of a chunk."""
        return self.files * self.documents + 2 * self.real

    @property
    def n_tokens(self) -> int:
        """Tokens of a chunk."""
        return self.n_documents * self.length


def end(size: Size, which: int) -> np.ndarray:
    """The text at an end (0: the first, 1: the last) of every chunk: uint16 tokens, no two windows alike."""
    return np.random.default_rng(which).integers(1, VOCABULARY, size.real * size.length).astype(DTYPE)


def make(folder: Path, size: Size, comm: "Intracomm") -> list[Path]:
    """The chunks of the corpus, made by all ranks together."""
    parts = [folder / f"block-{number:06d}.h5" for number in range(size.files + 2)]
    chunk = folder / places.chunk(0)
    if comm.rank == 0:
        _write_blocks(parts, size)
    comm.barrier()
    attributes = {"vocab_size": VOCABULARY, "tokenizer": "rehearsal", "engine": "rehearsal"}
    chunk_writer.assemble(chunk, parts, DTYPE, attributes, comm)
    links = [folder / places.chunk(number) for number in range(size.chunks)]
    if comm.rank == 0:
        for link in links[1:]:
            os.link(chunk, link)
    comm.barrier()
    return links


def _write_blocks(parts: list[Path], size: Size) -> None:
    for which, path in enumerate((parts[0], parts[-1])):
        lengths = np.full(size.real, size.length, "<u8")
        blocks.write(path, {"tokens": end(size, which), "lengths": lengths, "original": np.zeros(1, "<u4")})
    _write_hole(parts[1], size)
    for path in parts[2:-1]:
        os.link(parts[1], path)


def _write_hole(path: Path, size: Size) -> None:
    """A block of documents whose tokens are a hole."""
    layout = {"tokens": (size.documents * size.length, DTYPE), "lengths": (size.documents, np.dtype("<u8"))}
    starts = hdf5.reserve(path, {**layout, "original": (1, np.dtype("<u4"))}, {})
    with open(path, "r+b") as file:
        file.seek(starts["lengths"])
        file.write(np.full(size.documents, size.length, "<u8").tobytes())
