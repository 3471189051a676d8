"""Windows against their own fuzzy duplicates: the rank of the text as it stands, and how far it must be changed until
the model prefers it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lib.base.seeds import generator
from lib.statistics import permutation, ranks
from lib.statistics.significance import holm
from lib.studies.audit.measures import KEY, key, mean_interval, of_units
from lib.studies.audit.reading import Audited

MEASURES = {"margin": "log-probability", "gap": "less the reference's"}
OF_RANKS = ("windows", "mean_rank", "first", "p_value", "p_holm")
CONTROLLED = ("p_controls", "p_controls_holm")
FUZZY = (*KEY, "measure", "replaced", *OF_RANKS, "units", "auc", "low", "high", "control", *CONTROLLED)
FUZZY_TEXTS = (*KEY, "measure", "replaced", "name", *OF_RANKS)


class Level(NamedTuple):
    """One measure at one number of replaced tokens. text: (windows,), rising; margins: (windows, variations)."""

    measure: str
    replaced: int
    text: np.ndarray
    margins: np.ndarray


def levels(one: Audited) -> Iterator[Level]:
    """Each measure at each number of replaced tokens; nothing where no fuzzy duplicates were scored."""
    if one.fuzzy is None:
        return
    for name, margins in one.fuzzy.margins.items():
        known = ~np.isnan(margins).any(axis=(1, 2))  # a suffix may have no token of the reference
        for place, replaced in enumerate(one.fuzzy.replaced if known.any() else ()):
            yield Level(MEASURES[name], replaced, one.fuzzy.text[known], margins[known, place])


def collections(one: Audited, controls: Audited | None) -> list[dict[str, Any]]:
    """A row for each measure and number of replaced tokens; Holm's correction is over these."""
    others = {(level.measure, level.replaced): level for level in levels(controls)} if controls else {}
    rows = [_collection(one, level, controls, others.get((level.measure, level.replaced))) for level in levels(one)]
    compared = [row for row in rows if not np.isnan(row.get("p_controls", np.nan))]
    for row, p in zip(compared, holm([row["p_controls"] for row in compared])):
        row["p_controls_holm"] = p
    return [{**row, "p_holm": p} for row, p in zip(rows, holm([row["p_value"] for row in rows]))]


def _collection(one: Audited, level: Level, controls: Audited | None, other: Level | None) -> dict[str, Any]:
    units = _preferred(one, level)
    low, high = mean_interval(units, "audit fuzzy duplicates")
    row = {**key(one), **_ranked(level), "units": len(units), "auc": units.mean(), "low": low, "high": high}
    if controls is None or other is None:
        return row
    theirs = _preferred(controls, other)
    stream = generator(0, "audit fuzzy controls", len(units), len(theirs))
    return {**row, "control": theirs.mean(), "p_controls": permutation.p_greater(units, theirs, stream)}


def texts(one: Audited) -> list[dict[str, Any]]:
    """A row for each text, measure and number of replaced tokens, the smallest p first; Holm's correction is over the
    texts."""
    found = []
    for level in levels(one):
        rows = []
        for number in np.unique(level.text).tolist():
            mine = level.text == number
            part = level._replace(text=level.text[mine], margins=level.margins[mine])
            rows.append({**key(one), **_ranked(part), "name": one.texts.name[number]})
        corrected = holm([row["p_value"] for row in rows])
        found += sorted(({**row, "p_holm": p} for row, p in zip(rows, corrected)), key=lambda row: row["p_value"])
    return found


def _ranked(level: Level) -> dict[str, Any]:
    """The ranks of windows among themselves and their duplicates, 1 = likeliest."""
    found = ranks.among(level.margins)
    return {
        "measure": level.measure,
        "replaced": level.replaced,
        "windows": len(found),
        "mean_rank": found.mean(),
        "first": (found == 1).mean(),
        "p_value": ranks.p_of_ranks(found, level.margins.shape[1] + 1),
    }


def _preferred(one: Audited, level: Level) -> np.ndarray:
    """The share of duplicates that are less likely than their window, of each document, (documents,): an AUC."""
    of_windows = ((level.margins > 0) + 0.5 * (level.margins == 0)).mean(axis=1)
    n_texts = len(one.texts.text)
    sums, counts = (np.bincount(level.text, weights, n_texts) for weights in (of_windows, None))
    return of_units(one, np.divide(sums, counts, out=np.full(n_texts, np.nan), where=counts > 0))
