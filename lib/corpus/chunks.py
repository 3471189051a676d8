"""Chunks of a tokenised corpus: `chunk-NN.h5`, whose tokens and offsets are memory-mapped.

tokens     1-D, uint16 (vocabularies up to 2^16) or uint32, contiguous: the documents one after another
offsets    uint64, documents + 1: document d is tokens[offsets[d]:offsets[d + 1]]
checksums  uint64, xxh3 of every 2^20 tokens, and offsets_checksums of offsets (optional in files made elsewhere)
attributes vocab_size, tokenizer, n_documents, n_tokens
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash
from numpy.typing import ArrayLike

from lib.base import hdf5, places
from lib.base.errors import Damaged, TesseraError

CHECKED_TOKENS = 1 << 20  # of one checksum
GATHERED = 1 << 12  # windows copied at once: their indices take 800 bytes each


@dataclass(frozen=True)
class Chunk:
    """One open chunk. tokens: read-only memory map; offsets: int64, documents + 1, also mapped if they are contiguous
    and of 64 bits, as `tokenize` writes them."""

    path: Path
    tokens: np.ndarray
    offsets: np.ndarray
    vocab_size: int
    checksums: np.ndarray | None

    @property
    def n_tokens(self) -> int:
        """The number of tokens."""
        return len(self.tokens)


def token_dtype(vocab_size: int) -> np.dtype:
    """uint16 where every id fits, else uint32. Raises TesseraError beyond 2^32."""
    if not 1 <= vocab_size <= 1 << 32:
        raise TesseraError(f"vocab_size is {vocab_size}; it must be 1 to 2^32, since ids are stored in 16 or 32 bits")
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def paths(given: Sequence[Path]) -> list[Path]:
    """The chunk files that a list of files and directories stands for; a directory's in the order of their numbers."""
    found: list[Path] = []
    for path in given:
        inside = sorted(path.glob(places.CHUNKS), key=_number) if path.is_dir() else [path]
        if not inside:
            raise TesseraError(f"{path}: no {places.CHUNKS} in it; give chunk files, or a directory of them")
        if path.is_dir():
            _check_numbers(inside)
        found += inside
    return found


def open_chunks(given: Sequence[Path]) -> list[Chunk]:
    """All chunks of a list of files and directories, in that order. Raises TesseraError when the list is empty."""
    chunks = [open_chunk(path) for path in paths(given)]
    if not chunks:
        raise TesseraError("corpus: the list is empty; give chunk files, or directories of them")
    return chunks


def only(path: Path) -> Chunk:
    """The only chunk that `path` is or holds. Raises TesseraError when there are several."""
    found = open_chunks([path])
    if len(found) > 1:
        raise TesseraError(f"{path}: {len(found)} chunks, but this stage takes one; name the file of one")
    return found[0]


def open_chunk(path: Path) -> Chunk:
    """One chunk. Raises TesseraError naming the file and what is wrong with its layout."""
    with hdf5.opened(path) as file:
        tokens, offsets = _dataset(file, "tokens", path), _dataset(file, "offsets", path)
        mapped, bounds = memmap(path, tokens), _offsets(path, offsets)
        sums, offsets_sums = (file[name][()] if name in file else None for name in ("checksums", "offsets_checksums"))
        attributes = dict(file.attrs)
        _check_offsets(offsets, offsets_sums, mapped.size, path)
    if mapped.ndim != 1 or mapped.dtype not in (np.uint16, np.uint32):
        raise TesseraError(f"{path}: tokens are {mapped.dtype} of shape {mapped.shape}; 1-D uint16 or uint32 needed")
    if sums is not None and len(sums) != -(-len(mapped) // CHECKED_TOKENS):
        raise TesseraError(f"{path}: {len(sums)} checksums do not fit {len(mapped)} tokens; tokenize the corpus again")
    _check_attribute(attributes, "n_tokens", len(mapped), path)
    _check_attribute(attributes, "n_documents", len(bounds) - 1, path)
    return Chunk(path, mapped, bounds, _vocab_size(attributes, mapped.dtype, path), sums)


def memmap(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """A read-only memory map of a contiguous dataset of the open file `path`.

    Raises TesseraError when the dataset is not contiguous, or the file ends before it does.
    """
    if dataset.size == 0:
        return np.zeros(dataset.shape, dataset.dtype)
    start = dataset.id.get_offset()
    if start is None:
        raise TesseraError(f"{path}: '{dataset.name}' is chunked or compressed; write it as a contiguous dataset")
    if path.stat().st_size < start + dataset.size * dataset.dtype.itemsize:
        raise Damaged(path, f"truncated inside '{dataset.name}'; delete the file and make it again")
    return np.memmap(path, dataset.dtype, mode="r", offset=start, shape=dataset.shape)


def check(chunk: Chunk, start: int, stop: int) -> None:
    """Check every checksum that covers tokens[start:stop], and their ids against the vocabulary.

    Raises Damaged or TesseraError naming the file and the position.
    """
    tokens = chunk.tokens[start:stop]
    if chunk.checksums is not None and len(tokens):
        _check_sums(chunk, start // CHECKED_TOKENS, -(-min(stop, chunk.n_tokens) // CHECKED_TOKENS))
    if len(tokens) and int(tokens.max()) >= chunk.vocab_size:
        position = start + int(np.argmax(tokens >= chunk.vocab_size))
        raise TesseraError(
            f"{chunk.path}: token {position} has the id {chunk.tokens[position]}, but vocab_size is "
            f"{chunk.vocab_size}; the file is damaged, or was made with another tokenizer; tokenize the corpus again"
        )


def check_windows(
    corpus: Sequence[Chunk], chunk: ArrayLike, position: ArrayLike, length: int, rank: int = 0, ranks: int = 1
) -> None:
    """Check all that holds the windows of `length` tokens from `position` (n,) of each chunk, given by its index (n,).

    Of several ranks each checks a part. Raises Damaged or TesseraError naming the file and the position.
    """
    chunk, position = np.asarray(chunk, np.int64), np.asarray(position, np.int64)
    for index, one in enumerate(corpus):
        starts = position[chunk == index]
        ends = (starts + max(length, 1) - 1) // CHECKED_TOKENS
        touched = np.union1d(starts // CHECKED_TOKENS, ends)  # a window is shorter than what one checksum covers
        for block in touched[rank::ranks].tolist():
            check(one, block * CHECKED_TOKENS, (block + 1) * CHECKED_TOKENS)


def checksums(array: np.ndarray, first: int = 0, last: int | None = None) -> np.ndarray:
    """xxh3 (64 bits) of the blocks first .. last - 1 of 2^20 items each. 1-D array, any dtype; uint64 result."""
    last = -(-len(array) // CHECKED_TOKENS) if last is None else last
    parts = (array[block * CHECKED_TOKENS : (block + 1) * CHECKED_TOKENS] for block in range(first, last))
    return np.array([xxhash.xxh3_64_intdigest(np.ascontiguousarray(part)) for part in parts], dtype="<u8")


def windows(corpus: Sequence[Chunk], chunk: ArrayLike, position: ArrayLike, length: int) -> np.ndarray:
    """The `length` tokens from `position` (n,) of each chunk, given by its index (n,): n x length.

    Its dtype is the widest of the chunks.
    """
    chunk, position = np.asarray(chunk, np.int64), np.asarray(position, np.int64)
    found = np.empty((len(position), length), np.result_type(*(one.tokens.dtype for one in corpus)))
    order = np.lexsort((position, chunk))  # a text is read in order
    for low in range(0, len(order), GATHERED):
        part = order[low : low + GATHERED]
        for index in np.unique(chunk[part]).tolist():
            rows = part[chunk[part] == index]
            found[rows] = np.asarray(corpus[index].tokens)[position[rows, None] + np.arange(length)]
    return found


def digest(chunk: Chunk) -> str:
    """Identifies the text of a chunk: xxh3 (128 bits, hex) of checksums and offsets."""
    sums = checksums(chunk.tokens) if chunk.checksums is None else chunk.checksums
    hasher = xxhash.xxh3_128(np.ascontiguousarray(sums, dtype="<u8"))
    hasher.update(np.ascontiguousarray(chunk.offsets, dtype="<i8"))
    return hasher.hexdigest()


def _check_sums(chunk: Chunk, first: int, last: int) -> None:
    assert chunk.checksums is not None
    wrong = np.flatnonzero(checksums(chunk.tokens, first, last) != chunk.checksums[first:last])
    if len(wrong):
        position = (first + int(wrong[0])) * CHECKED_TOKENS
        raise Damaged(
            chunk.path, f"tokens {position} to {position + CHECKED_TOKENS} are not what was written (checksum)"
        )


def _offsets(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """The offsets as int64: mapped, or read if their layout allows no map."""
    if np.ndim(dataset) != 1 or dataset.dtype.kind not in "ui":
        raise TesseraError(f"{path}: offsets are {dataset.dtype} of shape {dataset.shape}; they must be 1-D uint64")
    if dataset.dtype not in (np.dtype("<u8"), np.dtype("<i8")) or dataset.id.get_offset() is None:
        return dataset[()].astype(np.int64)
    return np.asarray(memmap(path, dataset)).view(np.int64)


def _check_offsets(offsets: h5py.Dataset, sums: np.ndarray | None, n_tokens: int, path: Path) -> None:
    """Compare checksums and order some offsets at a time: of mapped pages every one that is touched would count."""
    if sums is not None and len(sums) != -(-len(offsets) // CHECKED_TOKENS):
        raise Damaged(path, f"{len(sums)} checksums do not fit {len(offsets)} offsets")
    last = -1  # of the block before
    for block, part in enumerate(hdf5.slices(offsets, CHECKED_TOKENS * offsets.dtype.itemsize)):
        if sums is not None and checksums(part)[0] != sums[block]:
            raise Damaged(path, "offsets are not what was written (checksum)")
        rises = part[0] >= last if block else part[0] == 0
        last = int(part[-1]) if rises and (part[1:] >= part[:-1]).all() else n_tokens + 1
    if last != n_tokens:
        raise TesseraError(f"{path}: offsets must rise from 0 to the number of tokens, {n_tokens}")


def _check_attribute(attributes: Mapping[str, Any], name: str, found: int, path: Path) -> None:
    if name in attributes and attributes[name] != found:
        raise TesseraError(f"{path}: {name} is {attributes[name]}, but it has {found}; make the file again")


def _vocab_size(attributes: Mapping[str, Any], dtype: np.dtype, path: Path) -> int:
    """The attribute, or without it as many ids as the dtype has."""
    most = 1 << 8 * dtype.itemsize
    given = attributes.get("vocab_size", most)
    if not isinstance(given, (int, np.integer)):
        raise TesseraError(f"{path}: vocab_size is {given!r}; it must be a whole number")
    if not 1 <= given <= most:  # an id beyond the dtype would wrap around to another id
        raise TesseraError(f"{path}: vocab_size {given} does not fit {dtype} tokens; it must be 1 to {most}")
    return int(given)


def _check_numbers(inside: Sequence[Path]) -> None:
    """Raise TesseraError for a gap in the numbers of a directory's chunks: a lost chunk would go unnoticed."""
    there = {_number(path)[0] for path in inside}
    for path in inside:
        before = _number(path)[0] - 1
        if path is not inside[0] and before >= 0 and before not in there:
            raise TesseraError(
                f"{path.parent}: {places.chunk(before)} is missing, though there is a {path.name}; make it again, or "
                "name the files to read one by one"
            )


def _number(path: Path) -> tuple[int, str]:
    """chunk-100 comes after chunk-99."""
    digits = path.stem.rpartition("-")[2]
    return (int(digits) if digits.isdigit() else -1), path.name


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    if name not in file:
        raise TesseraError(f"{path}: no dataset '{name}' (has: {', '.join(sorted(file)) or 'nothing'}); make it again")
    if not isinstance(file[name], h5py.Dataset):
        raise TesseraError(f"{path}: '{name}' is a group; it must be a dataset")
    return file[name]
