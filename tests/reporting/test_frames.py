"""Tables as files: types by column, the same bytes for the same rows, what is empty."""

import csv
import io

import h5py
import numpy as np
import pandas as pd
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.reporting import frames

COLUMNS = ("model", "seed", "level", "rho", "clamped")
ROWS = [
    {"model": "m", "seed": None, "level": 0.1, "rho": 1 / 3, "clamped": False},
    {"model": "m", "seed": 2, "level": 10, "rho": None, "clamped": True},
    {"model": "ünï", "seed": 1, "level": 1, "rho": 0.5},
]


@pytest.fixture
def table():
    return frames.frame(ROWS, COLUMNS, ("seed",))


def test_columns_have_the_types_of_their_names_and_rows_their_order(table):
    assert list(table.dtypes.astype(str)) == ["object", "Int64", "float64", "float64", "boolean"]
    assert table["level"].tolist() == [1, 10, 0.1]
    assert frames.frame(ROWS, COLUMNS)["level"].tolist() == [0.1, 10, 1]


def test_no_column_has_two_types():
    names = [*frames.TEXT, *frames.INTEGERS, *frames.FLAGS]
    assert len(set(names)) == len(names)


def test_a_column_can_hold_text_in_one_table_alone():
    assert frames.frame([{"distance": "indel"}], ["distance"], text=["distance"])["distance"].tolist() == ["indel"]
    assert frames.frame([{"distance": 3}], ["distance"])["distance"].dtype == "Int64"


def test_files_have_the_same_bytes_and_hold_the_same_numbers(tmp_path, table):
    for name in ("a", "b"):
        frames.write_csv(tmp_path / f"{name}.csv", table)
        frames.write_hdf5(tmp_path / f"{name}.h5", table)
    for suffix in ("csv", "h5"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    pd.testing.assert_frame_equal(frames.read_csv(tmp_path / "a.csv"), table, rtol=1e-7)
    np.testing.assert_array_equal(hdf5.read(tmp_path / "a.h5", "rho"), table["rho"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["columns"].split(",") == list(table.columns)
        assert (file["seed"][()] == file.attrs["empty_integer"]).tolist() == [False, False, True]
        assert file["clamped"][()].tolist() == [-1, 1, 0]
        assert file["model"][1] == b"m"


def test_a_column_that_holds_text_in_one_table_alone_is_read_as_it_was_written(tmp_path):
    rows = [{"distance": "indel", "spearman": -0.5}, {"distance": "", "spearman": None}]
    table = frames.frame(rows, ["distance", "spearman"], text=["distance"])
    frames.write_csv(tmp_path / "predictors.csv", table)
    pd.testing.assert_frame_equal(frames.read_csv(tmp_path / "predictors.csv", text=["distance"]), table)


def test_csv_reads_as_plain_text(table):
    text = frames.to_csv(table)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert "\r" not in text
    assert [row["seed"] for row in rows] == ["1", "2", ""]
    assert [row["clamped"] for row in rows] == ["", "True", "False"]
    assert [row["level"] for row in rows] == ["1", "10", "0.1"]
    assert rows[2]["rho"] == "0.33333333"


def test_a_table_without_rows_can_be_written_and_read(tmp_path):
    empty = frames.frame([], COLUMNS)
    frames.write_csv(tmp_path / "rho.csv", empty)
    frames.write_hdf5(tmp_path / "rho.h5", empty)
    assert tuple(frames.read_csv(tmp_path / "rho.csv").columns) == COLUMNS
    assert hdf5.rows(tmp_path / "rho.h5")["rho"] == 0


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(TesseraError, match=r"none\.csv"):
        frames.read_csv(tmp_path / "none.csv")
