"""How values look in the cells of shown tables and in sentences. What is unknown (None, NaN) is an empty cell."""

import pandas as pd

TextTable = tuple[list[str], list[list[str]]]  # a table as text: its header, and its rows of cells


def number(value: float | None) -> str:
    """Three decimals: 0.1234 -> `0.123`."""
    return _spelled(value, ".3f")


def short(value: float | None) -> str:
    """Three significant digits: 12.345 -> `12.3`."""
    return _spelled(value, ".3g")


def count(value: float | None) -> str:
    """A mean count: three significant digits below 100, a whole number from there: 1234.5 -> `1,234`."""
    return short(value) if value is None or pd.isna(value) or abs(value) < 100 else f"{value:,.0f}"


def p_value(value: float | None) -> str:
    """Two significant digits: 0.0123 -> `0.012`."""
    return _spelled(value, ".2g")


def percent(share: float | None) -> str:
    """0.1234 -> `12.3 %`."""
    return "" if share is None or pd.isna(share) else f"{100 * share:.3g} %"


def interval(low: float, high: float, decimals: int = 3) -> str:
    """`[0.123, 0.456]`."""
    return "" if pd.isna(low) else f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def _spelled(value: float | None, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)
