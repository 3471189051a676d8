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
    offsets = np.concatenate([[0], np.cumsum([len(document) for document in documents])])
    return write_tokens(path, tokens, offsets, vocab_size, checksums, tokenizer)


def write_tokens(
    path: Path, tokens: np.ndarray, offsets: np.ndarray, vocab_size: int, checksums: bool = True, tokenizer: str = "toy"
) -> Path:
    """The same of documents that lie one behind another. offsets: (documents + 1,), where they begin."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", tokens, contiguous=True)
        hdf5.write(file, "offsets", offsets.astype("<u8"), contiguous=True)
        if checksums:
            hdf5.write(file, "checksums", chunks.checksums(tokens))
        file.attrs.update(
            vocab_size=vocab_size, tokenizer=tokenizer, n_documents=len(offsets) - 1, n_tokens=len(tokens)
        )
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
