"""The tables of an audit: texts, shares of windows, the comparison with control texts, membership by labels."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.audit.texts_file import MEMBER, NON_MEMBER
from lib.prefix.discoverable import samples_needed
from lib.reporting.frames import frame
from lib.statistics import roc
from lib.statistics.proportions import clustered_wilson, most_of_none
from lib.studies.audit import comparison, fuzzy_tables, membership_table
from lib.studies.audit.measures import KEY, TEXT, covered, gap_interval, key, pairs
from lib.studies.audit.membership_table import auc_interval
from lib.studies.audit.reading import Audited
from lib.studies.mosaic.bag_of_words import FOLDS, cross_validated_scores

GRID = 10.0 ** np.arange(-20, 1)  # of p_z, in the figure
P = 0.5  # of the (n, p)-discoverable extraction that the table of texts has
LABEL = {MEMBER: "member", NON_MEMBER: "non-member"}

TEXTS = (
    *KEY,
    "name",
    "group",
    "label",
    "tokens",
    "windows",
    "covered",
    "span_tokens",
    "span_words",
    "span_begin",
    "greedy_windows",
    "mean_p_z",
    "largest_p_z",
    "samples",
    "loss",
    "min_k",
    "gap",
    "gap_low",
    "gap_high",
    "span",
)
THRESHOLDS = (
    *KEY,
    "threshold",
    "windows",
    "documents",
    "extracted",
    "share",
    "low",
    "high",
    "covered",
    "longest_tokens",
)
CURVE = (*KEY, "p_z", "share", "share_own")
BAG = (*KEY, "units", "control_units", "auc", "low", "high")


def make(found: Sequence[Audited], show_texts: bool = True) -> dict[str, pd.DataFrame]:
    """Every table by name. show_texts: whether the table of texts has the longest span as text."""
    return {
        "texts": frame((row for one in found for row in _texts(one, show_texts)), TEXTS, text=TEXT),
        "thresholds": frame((row for one in found for row in _thresholds(one)), THRESHOLDS, text=TEXT),
        "curve": frame((row for one in found for row in _curve(one)), CURVE, text=TEXT),
        "controls": _of_pairs(found, comparison.collections, comparison.CONTROL),
        "documents": _of_pairs(found, comparison.documents, comparison.DOCUMENTS),
        "bag_of_words": _of_pairs(found, _bag, BAG),
        "membership": frame(
            (row for one in found for row in membership_table.rows(one)), membership_table.MEMBERSHIP, text=TEXT
        ),
        **_fuzzy(found),
    }


def _of_pairs(found: Sequence[Audited], rows: Callable, columns: Sequence[str]) -> pd.DataFrame:
    return frame((row for pair in pairs(found) for row in rows(*pair)), columns, text=TEXT)


def _fuzzy(found: Sequence[Audited]) -> dict[str, pd.DataFrame]:
    """The tables of fuzzy duplicates, if some were scored."""
    if not any(one.fuzzy for one in found):
        return {}
    whole = (row for one in found for row in fuzzy_tables.collections(one, _controls_of(one, found)))
    single = (row for one in found for row in fuzzy_tables.texts(one))
    return {
        "fuzzy": frame(whole, fuzzy_tables.FUZZY, text=TEXT),
        "fuzzy_texts": frame(single, fuzzy_tables.FUZZY_TEXTS, text=TEXT),
    }


def _controls_of(one: Audited, found: Sequence[Audited]) -> Audited | None:
    return next((other for mine, other in pairs(found) if mine is one), None)


def _texts(one: Audited, show_texts: bool) -> Iterator[dict[str, Any]]:
    """A row for each text, the most covered first; texts without a window have their length alone."""
    shares = covered(one)
    for number in sorted(range(len(shares)), key=lambda row: (-np.nan_to_num(shares[row], nan=-1), row)):
        about = {"name": one.texts.name[number], "group": one.texts.group[number]}
        about["label"] = LABEL.get(int(one.texts.label[number]), "")
        counts = {"tokens": one.of_texts["tokens"][number], "windows": one.of_texts["windows"][number]}
        measured = _measured(one, number, show_texts) if counts["windows"] else {"span": ""}
        yield {**key(one), **about, **counts, "covered": shares[number], **measured}


def _measured(one: Audited, number: int, show_texts: bool) -> dict[str, Any]:
    """What the windows of a text say of it, at the first threshold."""
    mine = one.of_text(number)
    begin, end = (int(one.of_texts[name][number, 0]) for name in ("span_begin", "span_end"))
    span, best = one.longest(number), float(one.windows["log_p"][mine].max())
    return {
        "span_tokens": end - begin,
        "span_words": len(span.split()),
        "span_begin": begin,
        "greedy_windows": int((one.windows["matched"][mine] == one.cut.suffix_tokens).sum()),
        "mean_p_z": float(np.exp(one.windows["log_p"][mine]).mean()),
        "largest_p_z": float(np.exp(best)),
        "samples": float(samples_needed(best, P)),
        "span": span if show_texts else "",
        **{name: float(one.scores[name][number]) for name in ("loss", "min_k") if name in one.scores},
        **_gap(one, number),
    }


def _gap(one: Audited, number: int) -> dict[str, float]:
    """How much likelier a byte of a text is than under the reference model, if there is one, with its interval."""
    if one.gap is None:
        return {}
    low, high = gap_interval(one, number)
    return {"gap": float(one.gap[number]), "gap_low": low, "gap_high": high}


def _thresholds(one: Audited) -> Iterator[dict[str, Any]]:
    """Of each threshold the share of windows that reach it, with its interval over documents, and of tokens covered."""
    document, most = _documents(one), 1.0
    for place, threshold in enumerate(one.thresholds):
        reached = one.windows["log_p"] >= np.log(threshold)
        low, most = _share_interval(reached, document, most)
        spans = one.of_texts["span_end"][:, place] - one.of_texts["span_begin"][:, place]
        yield {
            **key(one),
            "threshold": threshold,
            "windows": len(reached),
            "documents": len(np.unique(document)),
            "extracted": int(reached.sum()),
            "share": reached.mean(),
            "low": low,
            "high": most,
            "longest_tokens": int(spans.max()),
            "covered": one.of_texts["covered"][:, place].sum() / one.of_texts["examined"].sum(),
        }


def _share_interval(reached: np.ndarray, document: np.ndarray, most: float) -> tuple[float, float]:
    """The interval of the share of windows that reach a threshold. most: the upper end of a lower threshold, which no
    fewer windows reach.

    Where none does, nothing is known of how windows of one document go together, and a document counts as one item: of
    n documents at most about 3/n have such a window (the rule of three), so no larger share of windows has.
    """
    if reached.any():
        low, high = clustered_wilson(reached, document)
    else:
        low, high = 0.0, most_of_none(len(np.unique(document)))
    return low, max(float(reached.mean()), min(high, most))


def _documents(one: Audited) -> np.ndarray:
    """The number of the document of each window."""
    of_text = np.zeros(len(one.texts.text), dtype=np.int64)
    for number, rows in enumerate(one.units()):
        of_text[rows] = number
    return of_text[one.windows["text"]]


def _curve(one: Audited) -> Iterator[dict[str, Any]]:
    """The share of windows with at least a p_z, of top-k sampling and of the model's own distribution."""
    for p_z in GRID.tolist():
        shares = (float((one.windows[name] >= np.log(p_z)).mean()) for name in ("log_p", "log_p_own"))
        yield {**key(one), "p_z": p_z, **dict(zip(("share", "share_own"), shares))}


def _bag(one: Audited, controls: Audited) -> Iterator[dict[str, Any]]:
    """Which texts are whose, by their words alone: the AUC of a bag of words, without any model."""
    mine, others = (_ids_of_units(some) for some in (one, controls))
    if min(len(mine), len(others)) < FOLDS:
        return
    scores = cross_validated_scores(mine, others, seed=0)
    low, high = auc_interval(*scores)
    yield {
        **key(one),
        "units": len(mine),
        "control_units": len(others),
        "auc": roc.auc(*scores),
        "low": low,
        "high": high,
    }


def _ids_of_units(one: Audited) -> list[np.ndarray]:
    return [np.concatenate([one.texts.ids[row] for row in rows]) for rows in one.units()]
