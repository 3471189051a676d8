"""Tables as files: types of columns, CSV and HDF5 that are the same bytes for the same rows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.base import files, hdf5
from lib.base.errors import TesseraError, cause

# The type of every column of every table, by name. A column that is not listed holds floats.
TEXT = (
    "model", "family", "attack", "variant", "kind", "setting", "estimator", "baseline", "metric", "chunk", "side",
    "measure", "subset", "sampling", "ranking", "prompt", "continuation", "suffix", "memorized_by", "other_model",
    "other_family", "other_setting", "decoding", "quantity", "cause", "copies", "text",
)  # fmt: skip
INTEGERS = (
    "seed", "n_seeds", "n_members", "nu_max", "n_canaries", "bucket", "distance", "n_targets", "n", "n_near_duplicates",
    "count", "groups", "min_count", "max_count", "n_hamming", "n_levenshtein", "without_levenshtein", "n_parameters",
    "other_n_parameters", "prompt_tokens", "repetitions", "n_prompts", "memorized", "other_memorized", "only_model",
    "only_other", "suffix_in_prompt", "memorized_in_prompt", "rank", "row", "document", "draw", "n_draws",
    "n_documents", "asked", "tokens", "gone_tokens", "gone_bytes", "cuts", "documents", "cut_documents",
    "gone_documents", "windows", "groups_of_before", "max_exact", "nearest", "round",
)  # fmt: skip
FLAGS = ("clamped", "extrapolated", "flat", "non_monotone", "at_chance", "flagged")
# Eight digits hold every AUC of canaries, and hide the last digits, which differ between two builds of a library.
FLOAT_FORMAT = "%.8g"
EMPTY_INTEGER = np.iinfo(np.int64).min


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV: LF line ends, eight digits, unknown values empty, flags as True or False."""
    return table.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `to_csv(table)`; the same table gives the same bytes."""
    files.write_bytes(path, to_csv(table).encode())


def write_hdf5(path: Path, table: pd.DataFrame) -> None:
    """Write a table, one dataset a column (text as fixed-length UTF-8 bytes, flags as int8).

    Attribute `columns`: their order. An empty value is NaN in floats, the attribute `empty_integer` in integers, and -1
    in flags.
    """
    with hdf5.create(path) as file:
        file.attrs["columns"] = ",".join(table.columns)
        file.attrs["empty_integer"] = EMPTY_INTEGER
        for name in table.columns:
            hdf5.write(file, name, _plain(table[name]))


def read_csv(path: Path, text: Sequence[str] = ()) -> pd.DataFrame:
    """A table that `write_csv` wrote, with its types. Raises TesseraError when the file is missing or not a table.

    text: columns that hold text in this table alone.
    """
    table = parse_csv(path, keep_default_na=False, na_values=[""])
    texts = [name for name in (*TEXT, *text) if name in table]
    return _typed(table.assign(**table[texts].astype(object).fillna("")), text)


def parse_csv(path: Path, **options: Any) -> pd.DataFrame:
    """What pandas makes of a CSV file, with its `options`. Raises TesseraError for a file that it cannot read."""
    try:
        return pd.read_csv(path, **options)
    except OSError as error:
        raise TesseraError(f"{path}: {cause(error)}") from error
    except ValueError as error:
        raise TesseraError(f"{path}: cannot be read as a table: {error}") from error


def frame(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], order: Sequence[str] = (), text: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows as a table of these columns with their types; a value that a row lacks is empty.

    order: the columns to sort by, empty values last; without them rows stay as they come. text: columns that hold text
    in this table alone.
    """
    table = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=list(columns))
    table = _typed(table, text)
    return table.sort_values(list(order), na_position="last", kind="stable", ignore_index=True) if order else table


def _typed(table: pd.DataFrame, text: Sequence[str] = ()) -> pd.DataFrame:
    return table.astype({name: "object" if name in text else type_of(name) for name in table.columns})


def type_of(column: str) -> str:
    """The type of a column: text as objects, integers and flags nullable, everything else float64."""
    if column in TEXT:
        return "object"
    if column in INTEGERS:
        return "Int64"
    return "boolean" if column in FLAGS else "float64"


def _plain(column: pd.Series) -> np.ndarray:
    if column.dtype == object:
        return np.array([str(value).encode() for value in column], dtype=np.bytes_)
    if column.dtype == "Int64":
        return column.to_numpy(dtype=np.int64, na_value=EMPTY_INTEGER)
    if column.dtype == "boolean":
        return column.to_numpy(dtype=np.int8, na_value=-1)
    return column.to_numpy(dtype=np.float64)
