"""The texts of an audit under several models, side by side."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.cells import number, percent, short
from lib.reporting.page import ReportTable, report_table
from lib.studies.audit.measures import covered
from lib.studies.audit.reading import Audited

SPELLED = {"covered": percent, "largest p_z": short, "log-probability": number}


def make(found: Sequence[Audited]) -> pd.DataFrame:
    """A row for each text, the most covered under any model first, with three columns for each model."""
    collections = dict.fromkeys(one.collection for one in found)
    each = [_of_collection([one for one in found if one.collection == name]) for name in collections]
    table = pd.concat(each, ignore_index=True)
    first = table[[name for name in table if name.endswith("covered")]].max(axis=1)
    return table.loc[first.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def _of_collection(ones: Sequence[Audited]) -> pd.DataFrame:
    """Models have read the same texts in the same order."""
    columns: dict[str, Any] = {"texts": ones[0].collection, "name": list(ones[0].texts.name)}
    for one in ones:
        columns |= {f"{one.model}: {name}": values for name, values in _measures(one)}
    return pd.DataFrame(columns)


def _measures(one: Audited) -> Iterator[tuple[str, np.ndarray]]:
    largest = np.full(len(one.texts.name), np.nan)
    largest[one.there] = [np.exp(one.windows["log_p"][one.of_text(number)].max()) for number in one.there.tolist()]
    yield from zip(SPELLED, (covered(one), largest, one.scores["loss"]))


def tables(found: Sequence[Audited], most: int) -> list[ReportTable]:
    """The table of a report, with at most so many rows; none for a single model."""
    if len({one.model for one in found}) < 2:
        return []
    table = make(found)
    spell = [SPELLED.get(name.rpartition(": ")[2], str) for name in table]
    rows = [[spelled(cell) for spelled, cell in zip(spell, row)] for row in table[:most].itertuples(index=False)]
    caption = "Texts under each model, the most covered under any of them first. All rows:"
    return [report_table("models", caption, (list(table), rows), table)]
