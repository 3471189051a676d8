"""What is compared between texts, documents and collections: one number for each text."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lib.base.seeds import generator
from lib.statistics import intervals
from lib.statistics.roc import resample_counts
from lib.studies.audit.reading import CONTROLS, OF_REFERENCE, Audited

DRAWS = 1000  # of a bootstrap
LOSS, COVERED = "log-probability per token", "share covered"
GAP = "log-probability per byte above the reference's"
KEY = ("model", "collection")
TEXT = ("collection", "name", "group", "label", "span", "statistic")  # columns of text, in the tables of an audit


def key(one: Audited) -> dict[str, Any]:
    """The columns that name a collection under a model."""
    return {"model": one.model, "collection": one.collection}


def pairs(found: Sequence[Audited]) -> Iterator[tuple[Audited, Audited]]:
    """Every collection with the control texts of its model."""
    controls = {one.model: one for one in found if one.collection == CONTROLS}
    for one in found:
        if one.collection != CONTROLS and one.model in controls:
            yield one, controls[one.model]


def covered(one: Audited, threshold: int = 0) -> np.ndarray:
    """The share of each text's examined tokens that spans cover, (texts,); NaN without windows."""
    examined = one.of_texts["examined"].astype(np.float64)
    return np.divide(
        one.of_texts["covered"][:, threshold], examined, out=np.full(len(examined), np.nan), where=examined > 0
    )


def statistics(one: Audited) -> dict[str, np.ndarray]:
    """Each statistic by which texts are compared with control texts, larger = more remembered, (texts,)."""
    found = {LOSS: one.scores["loss"], COVERED: covered(one)}
    return found if one.gap is None else {**found, GAP: one.gap}


def of_units(one: Audited, values: np.ndarray) -> np.ndarray:
    """The mean over the texts of each document, of those that have a value, (documents with one,)."""
    means = [values[rows][~np.isnan(values[rows])] for rows in one.units()]
    return np.array([mean.mean() for mean in means if len(mean)])


def mean_interval(units: np.ndarray, purpose: str) -> tuple[float, float]:
    """The bootstrap interval of the mean over documents; (NaN, NaN) for fewer than two."""
    if len(units) < 2:
        return float("nan"), float("nan")
    counts = resample_counts(len(units), DRAWS, generator(0, purpose, len(units)))
    return intervals.interval(counts @ units / len(units))


def gap_interval(one: Audited, number: int) -> tuple[float, float]:
    """The bootstrap interval of the `gap` of a text; (NaN, NaN) for fewer than two draws.

    Suffixes of neighbouring windows overlap, so what is drawn are runs of so many windows as one suffix is long.
    """
    mine = one.of_text(number)
    of = {name: one.windows[name][mine] for name in ("log_p_own", *OF_REFERENCE)}
    run = -(-one.cut.suffix_tokens // one.cut.stride)
    starts = np.arange(0, len(of["bytes"]), run)
    if len(starts) < 2:
        return float("nan"), float("nan")
    there = of["reference_bytes"] > 0
    counts = resample_counts(len(starts), DRAWS, generator(0, "audit reference", len(starts)))
    sums = {name: counts @ np.add.reduceat(values * there, starts) for name, values in of.items()}
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have no window with a token of the reference
        gaps = sums["log_p_own"] / sums["bytes"] - sums["reference_log_p"] / sums["reference_bytes"]
    return intervals.interval(gaps[np.isfinite(gaps)])
