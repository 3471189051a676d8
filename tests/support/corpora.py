"""Small tokenised corpora. They stand for the output of the stage `tokenize` and have its layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.base import hdf5
from lib.corpus import chunks
from tests.support.suffixes import suffix_array


def write_chunk(
    path: Path,
    documents: Sequence[Sequence[int]],
    vocab_size: int = 1 << 16,
    dtype: str | None = None,
    checksums: bool = True,
    tokenizer: str = "toy",
) -> Path:
    """Write these documents as `chunk-NN.h5`. Returns its path."""
    tokens = np.array([token for document in documents for token in document], dtype or chunks.token_dtype(vocab_size))
    lengths = [len(document) for document in documents]
    path.parent.mkdir(parents=True, exist_ok=True)
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", tokens, contiguous=True)
        hdf5.write(file, "offsets", np.concatenate([[0], np.cumsum(lengths)]).astype("<u8"))
        if checksums:
            hdf5.write(file, "checksums", chunks.checksums(tokens))
        file.attrs.update(vocab_size=vocab_size, tokenizer=tokenizer, n_documents=len(documents), n_tokens=len(tokens))
    return path


def write_suffix_array(path: Path, chunk: Path, depth: int = 1024) -> Path:
    """Write the suffix array of a chunk, as the stage does. Returns its path."""
    tokens = hdf5.read(chunk, "tokens")
    positions = suffix_array(tokens, depth)
    with hdf5.create(path) as file:
        hdf5.write(file, "positions", positions, contiguous=True)
        hdf5.write(file, "checksums", chunks.checksums(positions))
        digest = chunks.digest(chunks.open_chunk(chunk))
        file.attrs.update(depth=depth, n_tokens=len(tokens), tokens_digest=digest)
    return path
