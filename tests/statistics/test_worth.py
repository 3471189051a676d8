"""rho by distance out of the tables that there are."""

import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from lib.base.errors import TesseraError
from lib.base.places import PUBLISHED_RHO, SWEEPS
from lib.statistics import worth


def test_the_published_rho_with_its_interval_over_seeds() -> None:
    found = worth.read(PUBLISHED_RHO, "gptneo1B", "ratio", "replace", 100)
    assert found.levels == (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75)
    assert found.rho[:2] == (0.8977, 0.7811)
    low, high = stats.t.interval(0.95, 4, 0.8977, 0.0314 * math.sqrt(5 / 4) / math.sqrt(5))
    assert (found.low[0], found.high[0]) == pytest.approx((low, high))


def test_what_a_sweep_measured() -> None:
    table = pd.read_csv(SWEEPS / "gallery" / "near_dupls_laptop_rho.csv")
    mine = table[(table.attack == "ratio") & (table.estimator == "isotonic")].sort_values("level")
    found = worth.read(SWEEPS / "gallery" / "near_dupls_laptop_rho.csv", "any", "ratio", "replace", 100)
    assert found.rho == pytest.approx(mine.rho.tolist())
    assert found.low == pytest.approx(mine.rho_seeds_low.tolist())


ROWS = [
    {"model": "m", "seed": None, "kind": "replace", "level": 25, "rho": 0.4, "rho_low": 0.3, "levenshtein": 30},
    {"model": "m", "seed": None, "kind": "replace", "level": 5, "rho": 0.7, "rho_low": 0.6, "levenshtein": 6},
    {"model": "m", "seed": 1, "kind": "replace", "level": 5, "rho": 0.9, "rho_low": 0.8, "levenshtein": 6},
    {"model": "m", "seed": None, "kind": "shuffle", "level": 0.5, "rho": 0.1, "rho_low": 0.0, "levenshtein": 80},
]


def test_the_distance_that_was_measured_goes_before_that_which_was_meant(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS).assign(attack="ratio")
    table.to_csv(tmp_path / "distances.csv", index=False)
    table.drop(columns="levenshtein").to_csv(tmp_path / "rho.csv", index=False)
    found = worth.read(tmp_path / "distances.csv", "m", "ratio", "replace", 100)
    assert (found.levels, found.rho, found.low) == ((0.06, 0.3), (0.7, 0.4), (0.6, 0.3))
    assert all(map(math.isnan, found.high))
    assert worth.read(tmp_path / "rho.csv", "m", "ratio", "replace", 100).levels == (0.05, 0.25)


def test_what_a_table_lacks_is_said(tmp_path: Path) -> None:
    file = tmp_path / "rho.csv"
    pd.DataFrame(ROWS).to_csv(file, index=False)
    with pytest.raises(TesseraError, match="no row with model 'n'; known: m"):
        worth.read(file, "n", "ratio", "replace", 100)
    with pytest.raises(TesseraError, match="each at its own distance"):
        worth.read(file, "m", "ratio", "shuffle", 50)  # 80 of 50 tokens
    file.write_text("a,b\n1,2\n")
    with pytest.raises(TesseraError, match=r"no column levenshtein, level or value \(has: a, b\)"):
        worth.read(file, "m", "ratio", "replace", 100)
    with pytest.raises(TesseraError, match="give a table of rho as CSV"):
        worth.read(tmp_path / "nothing.csv", "m", "ratio", "replace", 100)
