"""How values look in cells and sentences."""

import numpy as np
import pandas as pd
import pytest

from lib.reporting import cells


@pytest.mark.parametrize(
    ("spell", "value", "text"),
    [
        (cells.number, 0.12345, "0.123"),
        (cells.short, 12.345, "12.3"),
        (cells.short, 0, "0"),
        (cells.count, 99.94, "99.9"),
        (cells.count, 1234.5, "1,234"),
        (cells.p_value, 0.01234, "0.012"),
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
