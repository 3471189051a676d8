"""Texts against control texts: whole collections, and each document of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lib.base.seeds import generator
from lib.statistics import intervals, permutation, ranks
from lib.statistics.significance import holm
from lib.studies.audit.measures import COVERED, DRAWS, KEY, key, of_units, statistics
from lib.studies.audit.reading import Audited

CONTROL = (*KEY, "statistic", "value", "control", "difference", "low", "high", "p_value", "units", "control_units")
DOCUMENTS = (*KEY, "statistic", "name", "texts", "value", "control", "p_value", "p_holm")


def collections(one: Audited, controls: Audited) -> Iterator[dict[str, Any]]:
    """Are texts likelier, or more covered, than control texts? By permutation of documents."""
    of_controls = statistics(controls)
    for statistic, values in statistics(one).items():
        mine, others = of_units(one, values), of_units(controls, of_controls[statistic])
        stream = generator(0, "audit controls", *map(len, (mine, others)))
        samples = permutation.bootstrap_difference(mine, others, DRAWS, stream)
        low, high = intervals.interval(samples)
        yield {
            **key(one),
            "statistic": statistic,
            "value": mine.mean(),
            "control": others.mean(),
            "difference": mine.mean() - others.mean(),
            "low": low,
            "high": high,
            "p_value": permutation.p_greater(mine, others, stream),
            "units": len(mine),
            "control_units": len(others),
        }


def documents(one: Audited, controls: Audited) -> list[dict[str, Any]]:
    """Is this document likelier than control texts? The smallest p first; Holm's correction is over the documents of a
    collection, for each statistic.

    Of a document with several texts these are exchanged with control texts, if each of those stands for itself. Else
    the document as a whole takes its place among the control documents: p is then at least 1 / (1 + their number).
    """
    of_controls = statistics(controls)
    found = []
    for statistic, values in statistics(one).items():
        if statistic != COVERED:
            others = of_units(controls, of_controls[statistic])
            rows = [row for unit in one.units() if (row := _document(one, unit, values, others, _alone(controls)))]
            corrected = holm([row["p_value"] for row in rows])
            marked = [{"statistic": statistic, **row, "p_holm": p} for row, p in zip(rows, corrected)]
            found += sorted(marked, key=lambda row: row["p_value"])
    return found


def _alone(one: Audited) -> bool:
    """Whether every text is a document of its own."""
    return all(len(rows) == 1 for rows in one.units())


def _document(one: Audited, unit: np.ndarray, values: np.ndarray, others: np.ndarray, alone: bool) -> dict[str, Any]:
    """The row of a document, empty if no text of it has a value. others: of the control documents."""
    mine = values[unit][~np.isnan(values[unit])]
    if not len(mine) or not len(others):
        return {}
    name = one.texts.group[unit[0]] or one.texts.name[unit[0]]
    stream = generator(0, "audit document", len(mine), len(others))
    as_texts = alone and min(len(mine), len(others)) > 1
    p = permutation.p_greater(mine, others, stream) if as_texts else ranks.p_of_one(mine.mean(), others)
    about = {**key(one), "name": name, "texts": len(mine)}
    return {**about, "value": mine.mean(), "control": others.mean(), "p_value": p}
