"""Bytes in place in a shared file, whatever the system gives or takes at once."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import mpi
from lib.corpus import chunks, filling


@pytest.fixture(autouse=True, scope="module")
def _few_at_once() -> Iterator[None]:
    """The system moves three bytes at a time, as it may."""
    read, write = os.pread, os.pwrite
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", lambda file, size, place: read(file, min(size, 3), place))
        patch.setattr(os, "pwrite", lambda file, data, place: write(file, data[:3], place))
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("filling") / "file"
    path.write_bytes(bytes(range(100)))
    descriptor = os.open(path, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@given(st.integers(0, 130), st.integers(0, 130))
def test_all_that_is_there_is_read(file: int, size: int, place: int) -> None:
    assert filling.get(file, size, place) == bytes(range(100))[place : place + size]


def test_checksums_are_those_of_the_items(tmp_path: Path) -> None:
    items = np.arange(1000, dtype="<u4")
    with open(tmp_path / "file", "wb+", buffering=0) as handle:
        filling.put(handle.fileno(), items, 8)
        filling.put_checksums(handle.fileno(), 8, len(items), items.dtype, 0, mpi.world())
        assert filling.get(handle.fileno(), 8, 0) == chunks.checksums(items).tobytes()
        handle.truncate(3000)
        with pytest.raises(OSError, match="ends before item 1000"):
            filling.put_checksums(handle.fileno(), 8, len(items), items.dtype, 0, mpi.world())
