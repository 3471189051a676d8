"""rho by distance, read from a table of this suite: the published one, a sweep's `rho.csv`, or its `distances.csv`."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from lib.base.errors import TesseraError, cause, suggestion

SEEDS = 5  # behind every published mean and standard deviation (ddof 0)
MEASURED = "levenshtein"  # the column of `distances.csv` with the distance that was measured, in tokens
CHOSEN = {"seed": "", "setting": "", "variant": "corrected", "estimator": "isotonic", "experiment": "replacements"}
Row = Mapping[str, str]


@dataclass(frozen=True)
class Worth:
    """What a near-duplicate counts as, by distance. levels: shares of its tokens that differ, rising, between 0 and 1;
    rho: of each; low, high: its 95 % interval over seeds, else over canaries, NaN if not known."""

    levels: tuple[float, ...]
    rho: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def read(path: Path, model: str, attack: str, kind: str, length: int) -> Worth:
    """rho of one model, attack and kind of duplicate: means over seeds, corrected scores, isotonic estimator.

    Columns that a table does not have choose nothing. length: tokens of its canaries; a level is R / length, or the
    mean distance that was measured / length. Raises TesseraError naming the file and what it lacks.
    """
    rows = _rows(path)
    for name, wanted in {**CHOSEN, "model": model, "attack": attack, "kind": kind}.items():
        rows = _chosen(rows, name, wanted, path)
    shares = [_share(row, length, path) for row in rows]
    order = [int(i) for i in np.argsort(shares, kind="stable") if 0 < shares[i] < 1]
    values = [(shares[i], *_estimate(rows[i])) for i in order if _number(rows[i], "rho", "rho_mean") is not None]
    if not values or len({one[0] for one in values}) < len(values):
        raise TesseraError(f"{path}: {len(values)} values of rho; there must be at least one, each at its own distance")
    return Worth(*(tuple(column) for column in zip(*values)))


def _rows(path: Path) -> list[Row]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise TesseraError(f"{path}: {cause(error)}; give a table of rho as CSV") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TesseraError(f"{path}: not a table ({error}); give a table of rho as CSV") from error


def _chosen(rows: list[Row], name: str, wanted: str, path: Path) -> list[Row]:
    """The rows with this value in a column, all if there is no such column."""
    if not rows or name not in rows[0]:
        return rows
    found = [row for row in rows if row[name] == wanted]
    if not found:
        known = sorted({row[name] for row in rows})
        raise TesseraError(f"{path}: no row with {name} '{wanted}'{suggestion(wanted, known)}")
    return found


def _share(row: Row, length: int, path: Path) -> float:
    value = _number(row, MEASURED, "level", "value")
    if value is None:
        raise TesseraError(f"{path}: no column {MEASURED}, level or value (has: {', '.join(row)})")
    return value / length


def _estimate(row: Row) -> tuple[float, float, float]:
    """rho and its interval: that over seeds, else over canaries, else by the published standard deviation."""
    rho = _number(row, "rho", "rho_mean") or 0.0
    low, high = _number(row, "rho_seeds_low", "rho_low"), _number(row, "rho_seeds_high", "rho_high")
    if (deviation := _number(row, "rho_std")) is not None and "rho_mean" in row:
        half = float(stdtrit(SEEDS - 1, 0.975)) * deviation / (SEEDS - 1) ** 0.5
        low, high = rho - half, rho + half
    return rho, float("nan") if low is None else low, float("nan") if high is None else high


def _number(row: Row, *names: str) -> float | None:
    """The first of these columns that has a value."""
    return next((float(row[name]) for name in names if row.get(name)), None)
