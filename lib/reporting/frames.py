"""Tables as files: types of columns, CSV and HDF5 that are the same bytes for the same rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.base import files, hdf5
from lib.base.errors import TesseraError

TEXT = ("model", "attack", "variant", "kind", "setting", "other_setting", "estimator", "baseline")
INTEGERS = ("seed", "n_members", "n_seeds", "nu_max")
FLAGS = ("clamped", "extrapolated", "flat", "non_monotone")
# Eight digits are more than any AUC of canaries holds, and less than what differs between two builds of a library.
FLOAT_FORMAT = "%.8g"
EMPTY_INTEGER = np.iinfo(np.int64).min


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV: LF line ends, eight digits, empty where nothing is known, flags as True or False."""
    return table.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `to_csv(table)`; the same table gives the same bytes."""
    files.write_bytes(path, to_csv(table).encode())


def write_hdf5(path: Path, table: pd.DataFrame) -> None:
    """Write a table, one dataset a column (text as fixed-length UTF-8 bytes, flags as int8).

    Attribute `columns`: their order. What stands for empty: NaN in floats, the attribute `empty_integer` in integers,
    -1 in flags.
    """
    with hdf5.create(path) as file:
        file.attrs["columns"] = ",".join(table.columns)
        file.attrs["empty_integer"] = EMPTY_INTEGER
        for name in table.columns:
            hdf5.write(file, name, _plain(table[name]))


def read_csv(path: Path) -> pd.DataFrame:
    """A table that `write_csv` wrote, with its types. Raises TesseraError when the file is absent or no such table."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise TesseraError(f"{path}: cannot be read as a table: {error}") from error
    text = [name for name in TEXT if name in table]
    return _typed(table.assign(**table[text].astype(object).fillna("")))


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Rows as a table of these columns with their types, sorted by `order`, empty values last."""
    table = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=list(columns))
    return _typed(table).sort_values(list(order), na_position="last", kind="stable", ignore_index=True)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Integers nullable, flags nullable booleans, text as objects, the rest float64."""
    return table.astype({name: "object" if name in TEXT else _number_type(name) for name in table.columns})


def _number_type(name: str) -> str:
    if name in INTEGERS:
        return "Int64"
    return "boolean" if name in FLAGS else "float64"


def _plain(column: pd.Series) -> np.ndarray:
    if column.dtype == object:
        return np.array([str(value).encode() for value in column], dtype=np.bytes_)
    if column.dtype == "Int64":
        return column.to_numpy(dtype=np.int64, na_value=EMPTY_INTEGER)
    if column.dtype == "boolean":
        return column.to_numpy(dtype=np.int8, na_value=-1)
    return column.to_numpy(dtype=np.float64)


def cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
