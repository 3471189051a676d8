"""How values look in cells and sentences."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.reporting import cells


@pytest.mark.parametrize(
    ("spell", "value", "text"),
    [
        (cells.number, 0.12345, "0.123"),
        (cells.short, 12.345, "12.3"),
        (cells.short, 0, "0"),
        (cells.short, 999.4, "999"),
        (cells.short, 999.6, "1,000"),
        (cells.short, -1049.6, "-1,050"),
        (cells.count, 99.94, "99.9"),
        (cells.count, 1234.5, "1,234"),
        (cells.p_value, 0.01234, "0.012"),
        (cells.p_value, 0.001, "0.001"),
        (cells.p_value, 1.4e-15, "< 0.001"),
        (cells.percent, 0.12345, "12.3 %"),
        (cells.percent, 1, "100 %"),
    ],
)
def test_values_are_spelled(spell, value, text):
    assert spell(value) == text
    assert spell(np.float64(value)) == text
    assert [spell(unknown) for unknown in (None, float("nan"), pd.NA)] == ["", "", ""]


def test_intervals():
    assert cells.interval(-0.1234, 0.5) == "[-0.123, 0.500]"
    assert cells.interval(0.1234, 0.5, 2) == "[0.12, 0.50]"
    assert cells.interval(np.nan, np.nan) == ""


@given(st.floats(-2, 2), st.booleans())
def test_a_marked_value_is_known_by_its_cell_and_still_begins_with_its_number(value, flagged):
    for low, high in ((value - 0.1, value + 0.1), (float("nan"), float("nan"))):
        cell = cells.estimate(value, low, high, flagged)
        assert cells.is_marked(cell) == flagged
        assert float(cell.split()[0].removesuffix(cells.MARK)) == pytest.approx(value, abs=5.1e-4)


@pytest.mark.parametrize("cell", ["", "a† b", "see 0.1†", "0.123 [0.1, 0.2]", "†", "–"])
def test_other_cells_are_not_marked(cell):
    assert not cells.is_marked(cell)


def test_intervals_of_shares_and_p_values_in_sentences():
    assert cells.percent_interval(0.208, 0.0924, 0.405) == "20.8 % [9.2, 40.5]"
    assert cells.percent_interval(float("nan"), float("nan"), float("nan")) == ""
    assert (cells.p_is(0.05), cells.p_is(1e-9)) == ("p = 0.05", "p < 0.001")
