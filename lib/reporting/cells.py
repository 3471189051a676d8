"""How values look in the cells of shown tables and in sentences. What is unknown (None, NaN) is an empty cell.

A value that must not be read as a result has MARK behind it: reports show it in grey, tables for a paper leave it out.
"""

import re

import pandas as pd

TextTable = tuple[list[str], list[list[str]]]  # a table as text: its header, and its rows of cells
MARK = "†"
LEFT_OUT = "–"  # what stands for a marked cell in a table that leaves it out
MARKED = re.compile(rf"[-−+]?[\d.,]+{MARK}( .*)?")
ROUNDED = 999.5  # what three digits would spell as 1e+03
LEAST_P = 0.001  # smaller p-values say no more than that they are smaller


def number(value: float | None) -> str:
    """Three decimals: 0.1234 -> `0.123`."""
    return _spelled(value, ".3f")


def short(value: float | None) -> str:
    """Three significant digits, or a whole number from 1,000 on: 12.345 -> `12.3`, 1049.6 -> `1,050`."""
    return _spelled(value, ".3g" if value is None or pd.isna(value) or abs(value) < ROUNDED else ",.0f")


def count(value: float | None) -> str:
    """A mean count: three significant digits below 100, a whole number from there: 1234.5 -> `1,234`."""
    return short(value) if value is None or pd.isna(value) or abs(value) < 100 else f"{value:,.0f}"


def p_value(value: float | None) -> str:
    """Two significant digits, from LEAST_P on: 0.0123 -> `0.012`, 2e-5 -> `< 0.001`."""
    return f"< {LEAST_P:g}" if value is not None and not pd.isna(value) and value < LEAST_P else _spelled(value, ".2g")


def p_is(value: float) -> str:
    """The p-value in a sentence: `p = 0.012`, `p < 0.001`."""
    spelled = p_value(value)
    return f"p {spelled}" if spelled.startswith("<") else f"p = {spelled}"


def percent(share: float | None) -> str:
    """0.1234 -> `12.3 %`."""
    return "" if share is None or pd.isna(share) else f"{100 * share:.3g} %"


def interval(low: float, high: float, decimals: int = 3) -> str:
    """`[0.123, 0.456]`."""
    return "" if pd.isna(low) else f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def estimate(value: float | None, low: float, high: float, flagged: bool = False) -> str:
    """A value with its interval: `0.123 [0.100, 0.150]`; flagged: `0.123† [0.100, 0.150]`."""
    return " ".join(filter(None, [mark(number(value), flagged), interval(low, high)]))


def percent_interval(share: float | None, low: float, high: float) -> str:
    """A share with its interval, all in percent: `20.8 % [9.2, 40.5]`."""
    return f"{percent(share)} {interval(100 * low, 100 * high, 1)}".strip()


def with_error(mean: float, error: float) -> str:
    """A mean count with its standard error, where it is known: `115 ± 50.2`."""
    return count(mean) if pd.isna(error) else f"{count(mean)} ± {count(error)}"


def without_empty(table: TextTable) -> TextTable:
    """The table without the columns in which no row has a cell. Without rows it stays as it is."""
    header, rows = table
    kept = [column for column, cells in enumerate(zip(*rows)) if any(cells)] or range(len(header))
    return [header[column] for column in kept], [[row[column] for column in kept] for row in rows]


def mean_over_seeds(seeds: int) -> str:
    """What a shown value is of: `mean over 3 seeds`, or `one seed`, which is no mean."""
    return f"mean over {seeds} seeds" if seeds > 1 else "one seed"


def mark(cell: str, flagged: bool) -> str:
    """The cell of a value, with MARK if it is flagged."""
    return cell + MARK if cell and flagged else cell


def is_marked(cell: str) -> bool:
    """Whether a cell holds a flagged value."""
    return MARKED.fullmatch(cell) is not None


def _spelled(value: float | None, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)
