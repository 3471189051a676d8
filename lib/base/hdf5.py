"""HDF5 files that are whole or absent.

A file is written under a private name, closed, reopened and checked, fsynced and renamed. Every dataset
carries its row count as an attribute, so that a truncated or foreign file can be recognised.
"""

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from lib.base import places, seals
from lib.base.errors import Damaged, TesseraError, cause, chain
from lib.base.files import publish

CHUNK_BYTES = 1 << 20  # parallel file systems and HDF5's chunk cache work well with 0.25 to 2 MiB
SLICE_BYTES = 1 << 23  # read at a time if a dataset may be larger than memory
# read with checksums of their ranges, which stand in the other dataset (lib/corpus)
BY_RANGE = {"tokens": "checksums", "positions": "checksums", "keys": "checksums", "offsets": "offsets_checksums"}


@contextmanager
def create(path: Path, seal: str | None = None) -> Iterator[h5py.File]:
    """A new HDF5 file that appears as `path` only when the block ends well.

    seal: the label of the seal that the file ends with (lib/base/seals.py); None: without one.
    Raises TesseraError naming the file and the cause if it cannot be written, or not be read back.
    """
    temporary = places.private(path, f"{socket.gethostname()}-{os.getpid()}")
    try:
        with h5py.File(temporary, "w", libver=("v108", "v108"), track_order=False) as file, _abandoned_on_error(file):
            yield file
            file.flush()
        check(temporary)
        if seal is not None:
            seals.put(temporary, seal)
        publish(temporary, path)
    except (OSError, RuntimeError) as error:
        refusal = _refusal(error)
        if refusal is None or refusal.filename not in (None, str(temporary), str(path)):  # None: of another file
            raise
        raise TesseraError(f"{path}: could not be written: {cause(refusal)}") from refusal
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _abandoned_on_error(file: h5py.File) -> Iterator[None]:
    """After an error, let HDF5 flush into memory: it crashes or hangs if it cannot flush a file that it closes."""
    try:
        yield
    except BaseException:
        memory = os.memfd_create("abandoned")
        os.dup2(memory, file.id.get_vfd_handle(), inheritable=False)
        os.close(memory)
        raise


def _refusal(error: OSError | RuntimeError) -> OSError | None:
    """What the system said, if it did: h5py raises OSError if a write fails, and RuntimeError if a flush does, after
    which closing the file may fail as well."""
    for one in chain(error):
        if isinstance(one, OSError):
            return one
        if found := re.search(r"errno = (\d+)", str(one)):
            return OSError(int(found[1]), os.strerror(int(found[1])))
    return None


def write(parent: h5py.Group, name: str, array: np.ndarray, contiguous: bool = False) -> h5py.Dataset:
    """Write one array: fletcher32 and chunks of about 1 MiB along the first axis, or contiguous for memory maps."""
    array = np.asarray(array)
    if contiguous or array.ndim == 0 or array.size == 0:
        dataset = parent.create_dataset(name, data=array, track_times=False)
    else:
        dataset = parent.create_dataset(name, data=array, chunks=_chunks(array), fletcher32=True, track_times=False)
    dataset.attrs["rows"] = len(array) if array.ndim else 1
    dataset.flush()  # raises if the data cannot be written; h5py ignores that when it frees the dataset
    return dataset


def append(parent: h5py.Group, name: str, array: np.ndarray) -> None:
    """Append rows to the dataset `name`, which is created if missing (fletcher32, chunks of about 1 MiB)."""
    if name not in parent:
        rows = max(1, CHUNK_BYTES // max(1, array.dtype.itemsize * int(np.prod(array.shape[1:]))))
        shape, chunks = (0, *array.shape[1:]), (rows, *array.shape[1:])
        parent.create_dataset(
            name, shape, array.dtype, maxshape=(None, *shape[1:]), chunks=chunks, fletcher32=True, track_times=False
        )
    dataset = parent[name]
    before = len(dataset)
    dataset.resize(before + len(array), axis=0)
    dataset[before:] = array
    dataset.attrs["rows"] = len(dataset)


def reserve(path: Path, datasets: Mapping[str, tuple[int, np.dtype]], attributes: Mapping[str, Any]) -> dict[str, int]:
    """Create `path` with contiguous 1-D datasets of these lengths and types, for many processes to fill in place.

    Returns the byte at which each non-empty dataset begins (`np.memmap(path, dtype, "r+", offset, shape)`).
    The caller passes a private path and calls `publish` when everything is written.
    """
    path.unlink(missing_ok=True)
    with h5py.File(path, "w", libver=("v108", "v108"), track_order=False) as file:
        for name, (length, dtype) in datasets.items():
            options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            options.set_obj_track_times(False)
            space = h5py.h5s.create_simple((length,))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype), logical=True), space, options)
            file[name].attrs["rows"] = length
        file.attrs.update(attributes)
        return {name: file[name].id.get_offset() for name in datasets if datasets[name][0]}


def write_ragged(
    parent: h5py.Group, name: str, rows: Sequence[ArrayLike], offsets: str = "offsets", dtype: str = "<u4"
) -> None:
    """Write rows of unequal length: all values in `name`, and where each row begins in `offsets` (uint64, rows + 1)."""
    arrays = [np.asarray(row) for row in rows]
    lengths = [len(row) for row in arrays]
    write(parent, offsets, np.concatenate([[0], np.cumsum(lengths)]).astype("<u8"))
    values = np.concatenate(arrays) if sum(lengths) else np.zeros(0)
    write(parent, name, values.astype(dtype))


def write_texts(parent: h5py.Group, name: str, texts: Sequence[str]) -> None:
    """Write strings as UTF-8 bytes in `name` (uint8) and `<name>_offsets`."""
    rows = [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]
    write_ragged(parent, name, rows, offsets=f"{name}_offsets", dtype="u1")


def read(path: Path, name: str) -> np.ndarray:
    """One whole dataset. Raises TesseraError naming file and dataset if it is missing, truncated or damaged."""
    with opened(path) as file:
        return _dataset(file, name, path)


def read_columns(path: Path, image: bytes, *names: str) -> dict[str, Any]:
    """Datasets by name (a group is a dict of its own) from the bytes of `path`, whose checksum was compared already.

    Raises TesseraError naming file and dataset if one is missing or damaged.
    """
    with opened(path, image) as file:
        for name in names:
            if name not in file:
                raise TesseraError(f"{path}: no dataset '{name}' (has: {', '.join(sorted(file)) or 'nothing'})")
        return {name: _values(h5py.h5o.open(file.id, name.encode())) for name in names}


def read_ragged(path: Path, name: str, offsets: str = "offsets") -> list[np.ndarray]:
    """The rows that `write_ragged` wrote."""
    with opened(path) as file:
        values, bounds = _dataset(file, name, path), _dataset(file, offsets, path)
    if len(bounds) == 0 or int(bounds[-1]) != len(values):
        raise TesseraError(f"{path}: '{offsets}' ends at {bounds[-1:]}, but '{name}' has {len(values)} values")
    return np.split(values, bounds[1:-1].astype(np.int64)) if len(bounds) > 1 else []


def read_texts(path: Path, name: str) -> list[str]:
    """The strings that `write_texts` wrote. Raises TesseraError naming a row that is not UTF-8."""
    found = read_ragged(path, name, f"{name}_offsets")
    return [_text(row.tobytes(), f"{path}: '{name}', row {i}") for i, row in enumerate(found)]


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TesseraError(f"{where}: not UTF-8 ({error.reason} at byte {error.start}); write it as UTF-8") from error


def attributes(path: Path) -> dict[str, Any]:
    """The attributes of the file's root."""
    with opened(path) as file:
        return dict(file.attrs)


@contextmanager
def opened(path: Path, image: bytes | None = None) -> Iterator[h5py.File]:
    """`path` (or its `image` in memory), open for reading.

    Raises Damaged naming a file that is truncated, damaged or no HDF5 file, TesseraError for one that may not be read,
    or is locked by another process.
    """
    try:
        file = h5py.File(path, "r") if image is None else _of_image(image)
    except OSError as error:
        raise _refused(path, error) from error
    with file:
        try:
            yield file
        except (OSError, KeyError, RuntimeError) as error:
            if getattr(error, "errno", None) or not re.match(r"['\"]?(Unable to|Can't)\b", str(error)):
                raise  # of what is done with the data
            raise _refused(path, error) from error


def _of_image(image: bytes) -> h5py.File:
    try:
        return h5py.File(h5py.h5f.open_file_image(image))
    except ValueError as error:  # h5py raises this here, and OSError for a file on disk
        raise OSError(str(error)) from error


def _refused(path: Path, error: Exception) -> TesseraError:
    """Why HDF5 does not read a file. It gives no number of the system's errors (errno) where the bytes are wrong."""
    if isinstance(error, OSError) and error.errno:
        return TesseraError(f"{path}: cannot be read: {cause(error)}")
    if "doesn't exist" in str(error):
        return TesseraError(f"{path}: lacks something: {error}; give the file that the stage needs")
    if "signature not found" in str(error):
        return Damaged(path, "no HDF5 file, or its first bytes are damaged; name another, or make it again")
    return Damaged(path, f"truncated or damaged ({error}); if a stage made it, delete it and run that stage again")


def check(path: Path) -> None:
    """Read every dataset of `path` and compare its checksums. Raises TesseraError for the first damaged one."""
    with opened(path) as file:
        found: list[str] = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in found:
            for _ in slices(_checked(file, name, path)):
                pass


def outline(path: Path) -> str | None:
    """SHA-256 of all of a file but the datasets whose ranges are compared when they are read (BY_RANGE).

    It covers their checksums, so that it and they stand for the whole file. None if there are no such datasets.
    """
    with opened(path) as file:
        covered = {name for name, sums in BY_RANGE.items() if name in file and sums in file}
        if not covered:
            return None
        hasher = hashlib.sha256(_described(file.attrs).encode())
        for name in sorted(file):
            dataset = _checked(file, name, path)
            hasher.update(f"{name} {dataset.dtype.str} {dataset.shape} {_described(dataset.attrs)}".encode())
            for part in () if name in covered else slices(dataset):
                hasher.update(np.ascontiguousarray(part))
    return hasher.hexdigest()


def _described(attributes: Mapping[str, Any]) -> str:
    values = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in attributes.items()}
    return json.dumps(values, sort_keys=True, default=str)


def slices(dataset: h5py.Dataset, size: int = SLICE_BYTES) -> Iterator[np.ndarray]:
    """The values of a dataset, some rows (about `size` bytes) at a time."""
    if dataset.ndim == 0:
        yield dataset[()]
        return
    rows = max(1, size // max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))))
    for start in range(0, len(dataset), rows):
        yield dataset[start : start + rows]


def rows(path: Path) -> dict[str, int]:
    """The row count of every dataset."""
    counts: dict[str, int] = {}
    with opened(path) as file:
        file.visititems(
            lambda name, item: (
                counts.update({name: int(item.attrs.get("rows", item.size))})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return counts


def _dataset(file: h5py.File, name: str, path: Path) -> np.ndarray:
    return _checked(file, name, path)[()]


def _checked(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    if name not in file:
        raise TesseraError(f"{path}: no dataset '{name}' (has: {', '.join(sorted(file)) or 'nothing'})")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise TesseraError(f"{path}: '{name}' is a group, but must be a dataset; delete the file and run again")
    actual = len(dataset) if dataset.ndim else 1
    expected = int(dataset.attrs.get("rows", actual))
    if expected != actual:
        raise Damaged(path, f"'{name}' has {actual} rows, {expected} were written; delete it and run again")
    if dataset.dtype.kind not in "biufcS":  # S: bytes of one length
        raise TesseraError(
            f"{path}: '{name}' holds {_spelled(dataset.dtype)}; it must hold numbers or bytes of one length (a text is "
            f"written as its UTF-8 bytes, uint8, and where each begins, '{name}_offsets')"
        )
    return dataset


def _spelled(dtype: np.dtype) -> str:
    return "strings" if h5py.check_string_dtype(dtype) else f"values of type {dtype}"


def _values(item: h5py.h5d.DatasetID | h5py.h5g.GroupID) -> Any:
    """The values of a dataset or group, read with h5py's low-level API: the high-level one is several times slower."""
    if isinstance(item, h5py.h5g.GroupID):
        return {name.decode(): _values(h5py.h5o.open(item, name)) for name in item}
    stored = item.get_type()
    usual = stored.equal(h5py.h5t.IEEE_F64LE)  # tested first: looking up the dtype takes ten times as long
    array = np.empty(item.shape, "<f8" if usual else stored.dtype)
    item.read(h5py.h5s.ALL, h5py.h5s.ALL, array, mtype=stored)
    return array


def _chunks(array: np.ndarray) -> tuple[int, ...]:
    row_bytes = max(1, array[0].nbytes)
    return (min(len(array), max(1, CHUNK_BYTES // row_bytes)), *array.shape[1:])
