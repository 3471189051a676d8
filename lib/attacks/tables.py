"""Membership scores from tables of log-probabilities, whatever program computed these."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from lib.attacks import scores
from lib.base.errors import TesseraError, suggestion

OF_TOKENS = ("log_probs", "mu", "sigma", "top_log_probs", "prefixed_log_probs", "reference_log_probs")
OF_TEXTS = ("texts", "reference_means")  # the string itself, and a mean log-probability
LOG_PROBABILITIES = ("log_probs", "mu", "top_log_probs", "prefixed_log_probs", "reference_log_probs", "reference_means")
ROUNDING = 1e-3  # by which the logarithm of a probability may be above 0


def compute(tokens: pd.DataFrame, texts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every score that the columns allow: a row for each text, a column for each score (float64), higher = member.

    tokens: a row for each scored token, in the order of the text: `text` (to which text it belongs), `log_probs`, and
    any more of OF_TOKENS, which mean what they mean in `lib.attacks.scores` (natural logarithms).
    texts: a row for each text, its index the values of `text`, with any of OF_TEXTS.
    The rows of the result are in the order of `texts`, or in that of the first tokens. Raises TesseraError naming
    column, row or text for columns that are missing or unknown, values that are missing, no numbers or not finite,
    texts that are no strings, logarithms of probabilities above 1 (losses, perhaps, which have the other sign), and
    texts that only one of the two tables has.
    """
    _check(tokens, ("text", *OF_TOKENS), ("text", "log_probs"), "tokens")
    rows = tokens.groupby("text", sort=False).agg(list)
    if texts is None:
        return pd.DataFrame(scores.compute(_evidence(rows)), index=rows.index)
    _check(texts, OF_TEXTS, (), "texts")
    _check_same(rows.index, texts.index)
    found = scores.compute(_evidence(rows.loc[texts.index]) | {name: texts[name].to_numpy() for name in texts.columns})
    return pd.DataFrame(found, index=texts.index)


def _evidence(rows: pd.DataFrame) -> dict[str, Any]:
    return {name: [np.asarray(row, dtype=np.float64) for row in rows[name]] for name in rows.columns}


def _check(table: pd.DataFrame, known: tuple[str, ...], needed: tuple[str, ...], name: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise TesseraError(f"`{name}` must be a DataFrame of pandas, found {type(table).__name__}")
    for column in needed:
        if column not in table.columns:
            raise TesseraError(f"`{name}` has no column '{column}'")
    for column in table.columns:
        if column not in known:
            raise TesseraError(f"`{name}`: '{column}' is no evidence of its rows{suggestion(column, known)}")
        if table[column].isna().any():
            raise TesseraError(f"`{name}`: '{column}' has no value in row {table[column].isna().idxmax()}")
        _check_values(table[column], f"`{name}`: '{column}'")
        if column in LOG_PROBABILITIES and (above := table[column] > ROUNDING).any():
            raise TesseraError(
                f"`{name}`: '{column}' is {table[column][above].iloc[0]:g} in row {above.idxmax()}; the logarithm of a "
                "probability is at most 0 (a loss has the other sign)"
            )


def _check_values(column: pd.Series, name: str) -> None:
    """Raise TesseraError for the first value that is not what the column holds: strings, or finite numbers."""
    if column.name == "text":
        return
    if column.name == "texts":
        right, what = column.map(lambda value: isinstance(value, str)), "a string"
    elif is_numeric_dtype(column) and column.name == "sigma":
        right, what = np.isfinite(column) & (column >= 0), "a finite number, at least 0"
    else:
        right, what = np.isfinite(column) if is_numeric_dtype(column) else column.map(_is_finite), "a finite number"
    if not right.all():
        row = right.idxmin()
        raise TesseraError(f"{name} is {column[~right].tolist()[0]!r} in row {row}; it must be {what}")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and np.isfinite(value)


def _check_same(with_tokens: pd.Index, given: pd.Index) -> None:
    if not given.is_unique:
        raise TesseraError(f"`texts` has two rows for text {given[given.duplicated()][0]!r}")
    if len(single := given.symmetric_difference(with_tokens, sort=False)):
        raise TesseraError(f"text {single[0]!r} stands in one of the tables `tokens` and `texts`; it must be in both")
