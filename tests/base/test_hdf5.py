import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import hdf5, places
from lib.base.errors import Damaged, TesseraError


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), max_size=6))
def test_ragged_rows_come_back(rows, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "tokens", rows)
    assert [row.tolist() for row in hdf5.read_ragged(path, "tokens")] == rows


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=5))
def test_texts_come_back(texts, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    with hdf5.create(path) as file:
        hdf5.write_texts(file, "text", texts)
    assert hdf5.read_texts(path, "text") == texts


def test_the_same_arrays_give_the_same_bytes(tmp_path) -> None:
    for name in ("a.h5", "b.h5"):
        with hdf5.create(tmp_path / name) as file:
            file.attrs["seed"] = 1
            hdf5.write(file, "x", np.arange(300_000).reshape(-1, 3))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_chunks_are_within_the_agreed_size_and_checksummed(tmp_path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        dataset = hdf5.write(file, "x", np.zeros((1_000_000, 2)))
        assert 0.25 * 2**20 <= np.prod(dataset.chunks) * 8 <= 2 * 2**20
        assert dataset.fletcher32


def test_an_error_in_the_block_leaves_nothing(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), hdf5.create(tmp_path / "a.h5"):
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == []


def test_a_truncated_file_is_named(tmp_path) -> None:
    path = tmp_path / "a.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "x", np.arange(100_000))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(TesseraError, match=r"a\.h5: truncated"):
        hdf5.read(path, "x")


def test_a_flipped_bit_is_found(tmp_path) -> None:
    path = tmp_path / "a.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "x", np.arange(100_000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TesseraError, match=r"a\.h5"):
        hdf5.check(path)


def test_missing_rows_are_found(tmp_path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(5)).attrs["rows"] = 6
    with pytest.raises(TesseraError, match="5 rows, 6 were written"):
        hdf5.read(path, "x")


def test_a_missing_dataset_is_named_with_those_there(tmp_path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write(file, "tokens", np.arange(5))
    with pytest.raises(TesseraError, match=r"no dataset 'token' \(has: tokens\)"):
        hdf5.read(tmp_path / "a.h5", "token")


@given(
    dtype=st.sampled_from(["<f8", "<f4", ">f8", "<i8", "<u4", "u1", "bool"]),
    shape=st.lists(st.integers(0, 5), max_size=3),
)
def test_columns_of_an_image_are_what_was_written(dtype, shape, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    with hdf5.create(path) as file:
        hdf5.write(file, "x", array)
        hdf5.write(file.create_group("sides"), "y", array)
    found = hdf5.read_columns(path, path.read_bytes(), "x", "sides")
    for column in (found["x"], found["sides"]["y"]):
        assert column.dtype == array.dtype
        np.testing.assert_array_equal(column, array)


def test_a_missing_column_of_an_image_is_named_with_those_there(tmp_path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write(file, "tokens", np.arange(5))
    image = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(TesseraError, match=r"a\.h5: no dataset 'token' \(has: tokens\)"):
        hdf5.read_columns(tmp_path / "a.h5", image, "token")
    with pytest.raises(TesseraError, match=r"a\.h5: truncated"):
        hdf5.read_columns(tmp_path / "a.h5", image[:-100], "tokens")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_a_clear_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("lib.base.places.private", lambda path, owner: tmp_path / "full")
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(TesseraError, match=r"a\.h5: could not be written"), hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write(file, "x", np.arange(1_000_000))
    assert not (tmp_path / "a.h5").exists()


def test_append_and_slices_are_the_array_in_parts(tmp_path: Path) -> None:
    array = np.arange(700_001, dtype="<u4")
    with hdf5.create(tmp_path / "a.h5") as file:
        for part in (array[:0], array[:3], array[3:3], array[3:600_000], array[600_000:]):
            hdf5.append(file, "x", part)
    np.testing.assert_array_equal(hdf5.read(tmp_path / "a.h5", "x"), array)
    assert hdf5.rows(tmp_path / "a.h5") == {"x": 700_001}
    with hdf5.opened(tmp_path / "a.h5") as file:
        parts = list(hdf5.slices(file["x"], 1 << 20))
    assert max(part.nbytes for part in parts) <= 1 << 20
    np.testing.assert_array_equal(np.concatenate(parts), array)


def test_rows_that_are_not_those_written_are_found(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.append(file, "x", np.zeros(5, "<u2"))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["x"].attrs["rows"] = 6
    with pytest.raises(TesseraError, match="'x' has 5 rows, 6 were written"):
        hdf5.check(tmp_path / "a.h5")


def test_a_group_is_not_a_dataset(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        file.create_group("tokens")
    with pytest.raises(TesseraError, match=r"a\.h5: 'tokens' is a group"):
        hdf5.read(tmp_path / "a.h5", "tokens")


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda path: path.write_bytes(b"{}"), Damaged, "no HDF5 file"),
        (lambda path: path.write_bytes(b""), Damaged, "no HDF5 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), Damaged, "truncated or damaged"),
        (lambda path: (path.unlink(), path.mkdir()), TesseraError, "it is a folder"),
        (lambda path: path.unlink(), TesseraError, "no such file"),
    ],
)
def test_an_error_says_what_is_so(tmp_path: Path, make, kind, words) -> None:
    path = tmp_path / "a.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "x", np.arange(5))
    make(path)
    with pytest.raises(TesseraError, match=f"a\\.h5: .*{words}") as found:
        hdf5.read(path, "x")
    assert type(found.value) is kind


def test_a_file_that_another_process_holds_is_locked_not_damaged(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write(file, "x", np.arange(5))
    with open(tmp_path / "a.h5", "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TesseraError, match="locked by another process") as found:
            hdf5.read(tmp_path / "a.h5", "x")
    assert not isinstance(found.value, Damaged)


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "permission denied"), (errno.EIO, "the disk reports")])
def test_what_the_system_refuses_is_not_called_damaged(tmp_path: Path, monkeypatch, number, words) -> None:
    def refuse(*given: object) -> None:
        raise OSError(number, "Unable to synchronously open file")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(TesseraError, match=f"a\\.h5: cannot be read: {words}") as found:
        hdf5.read(tmp_path / "a.h5", "x")
    assert not isinstance(found.value, Damaged)


def test_strings_where_numbers_are_expected_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("subset", data=["books", "code"])
    with pytest.raises(TesseraError, match=r"a\.h5: 'subset' holds strings.*it must hold numbers"):
        hdf5.read(tmp_path / "a.h5", "subset")


def test_what_a_block_raises_itself_is_left_as_it_is(tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "a.h5") as file:
        hdf5.write(file, "x", np.arange(5))
    for error in (OSError(errno.ENOSPC, "No space left on device"), KeyError("x"), FileNotFoundError(2, "no", "b")):
        with pytest.raises(type(error)) as found, hdf5.opened(tmp_path / "a.h5"):
            raise error
        assert found.value is error


FULL = """
import os, resource, sys
from pathlib import Path
import numpy as np
from lib.base import hdf5

def limit(size):  # of any file, which stands for a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

memory = os.memfd_create
os.memfd_create = lambda name: (limit(resource.RLIM_INFINITY), memory(name))[1]  # memory is no disk
for rows in (60_000, 100_000, 1_000_000):
    limit(300_000)
    try:
        with hdf5.create(Path(sys.argv[1])) as file:
            hdf5.write(file, "x", np.arange(rows))
    except hdf5.TesseraError as error:
        print(error)
"""


def test_a_full_disk_crashes_no_process(tmp_path: Path) -> None:
    line = [sys.executable, "-c", FULL, str(tmp_path / "a.h5")]
    result = subprocess.run(line, cwd=places.ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("a.h5: could not be written") == 3
    assert "Exception ignored" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_flush_that_the_disk_refuses_is_named_as_such(tmp_path: Path) -> None:
    """As h5py words it: a RuntimeError, unlike that of a write."""
    said = "Unable to synchronously flush file (file write failed: time = Sat, errno = 28, error message = 'No space')"
    full = pytest.raises(TesseraError, match=r"a\.h5: could not be written: the disk is full")
    with full as caught, hdf5.create(tmp_path / "a.h5"):
        raise RuntimeError(said)
    assert (caught.value.__cause__.errno, list(tmp_path.iterdir())) == (errno.ENOSPC, [])
    with full as caught, hdf5.create(tmp_path / "a.h5"):
        try:
            raise RuntimeError(said)
        finally:
            raise RuntimeError("Can't decrement id ref count")  # closing the file fails after that
    assert caught.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(RuntimeError, match="something else"), hdf5.create(tmp_path / "a.h5"):
        raise RuntimeError("something else")
