"""The tables of an audit: texts, shares of windows, the comparison with control texts, membership by labels."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.audit.texts_file import MEMBER, NON_MEMBER
from lib.base.seeds import generator
from lib.prefix.discoverable import samples_needed
from lib.reporting.frames import frame
from lib.statistics import intervals, permutation, roc
from lib.statistics.proportions import clustered_wilson
from lib.studies.audit.reading import CONTROLS, Audited
from lib.studies.mosaic.bag_of_words import FOLDS, cross_validated_scores

DRAWS = 1000
GRID = 10.0 ** np.arange(-20, 1)  # of p_z, in the figure
P = 0.5  # of the (n, p)-discoverable extraction that the table of texts has
LOSS, COVERED = "log-probability per token", "share covered"
LABEL = {MEMBER: "member", NON_MEMBER: "non-member"}
KEY = ("model", "collection")
TEXT = ("collection", "name", "group", "label", "span", "statistic")

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
    "span",
)
THRESHOLDS = (*KEY, "threshold", "windows", "extracted", "share", "low", "high", "covered", "longest_tokens")
CURVE = (*KEY, "p_z", "share", "share_own")
CONTROL = (*KEY, "statistic", "value", "control", "difference", "low", "high", "p_value", "units", "control_units")
BAG = (*KEY, "units", "control_units", "auc", "low", "high")
MEMBERSHIP = (
    *KEY,
    "attack",
    "n_members",
    "n_non_members",
    "auc",
    "low",
    "high",
    "tpr_at_fpr_0.1",
    "tpr_at_fpr_0.01",
    "delong_p",
)


def make(found: Sequence[Audited], show_texts: bool = True) -> dict[str, pd.DataFrame]:
    """Every table by name. show_texts: whether the table of texts has the longest span as text."""
    return {
        "texts": frame((row for one in found for row in _texts(one, show_texts)), TEXTS, text=TEXT),
        "thresholds": frame((row for one in found for row in _thresholds(one)), THRESHOLDS, text=TEXT),
        "curve": frame((row for one in found for row in _curve(one)), CURVE, text=TEXT),
        "controls": frame((row for pair in _pairs(found) for row in _controls(*pair)), CONTROL, text=TEXT),
        "bag_of_words": frame((row for pair in _pairs(found) for row in _bag(*pair)), BAG, text=TEXT),
        "membership": frame((row for one in found for row in _membership(one)), MEMBERSHIP, text=TEXT),
    }


def _key(one: Audited) -> dict[str, Any]:
    return {"model": one.model, "collection": one.collection}


def _pairs(found: Sequence[Audited]) -> Iterator[tuple[Audited, Audited]]:
    """Every collection with the control texts of its model."""
    controls = {one.model: one for one in found if one.collection == CONTROLS}
    for one in found:
        if one.collection != CONTROLS and one.model in controls:
            yield one, controls[one.model]


def _texts(one: Audited, show_texts: bool) -> Iterator[dict[str, Any]]:
    """A row for each text, the most covered first; texts without a window have their length alone."""
    shares = covered(one)
    for number in sorted(range(len(shares)), key=lambda row: (-np.nan_to_num(shares[row], nan=-1), row)):
        about = {"name": one.texts.name[number], "group": one.texts.group[number]}
        about["label"] = LABEL.get(int(one.texts.label[number]), "")
        counts = {"tokens": one.of_texts["tokens"][number], "windows": one.of_texts["windows"][number]}
        measured = _measured(one, number, show_texts) if counts["windows"] else {"span": ""}
        yield {**_key(one), **about, **counts, "covered": shares[number], **measured}


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
        **{name: float(values[number]) for name, values in one.scores.items()},
    }


def covered(one: Audited, threshold: int = 0) -> np.ndarray:
    """The share of each text's examined tokens that spans cover, (texts,); NaN without windows."""
    examined = one.of_texts["examined"].astype(np.float64)
    return np.divide(
        one.of_texts["covered"][:, threshold], examined, out=np.full(len(examined), np.nan), where=examined > 0
    )


def _thresholds(one: Audited) -> Iterator[dict[str, Any]]:
    """Of each threshold the share of windows that reach it, with its interval over documents, and of tokens covered."""
    document = _documents(one)
    for place, threshold in enumerate(one.thresholds):
        reached = one.windows["log_p"] >= np.log(threshold)
        low, high = clustered_wilson(reached, document)
        spans = one.of_texts["span_end"][:, place] - one.of_texts["span_begin"][:, place]
        yield {
            **_key(one),
            "threshold": threshold,
            "windows": len(reached),
            "extracted": int(reached.sum()),
            "share": reached.mean(),
            "low": low,
            "high": high,
            "longest_tokens": int(spans.max()),
            "covered": one.of_texts["covered"][:, place].sum() / one.of_texts["examined"].sum(),
        }


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
        yield {**_key(one), "p_z": p_z, **dict(zip(("share", "share_own"), shares))}


def _controls(one: Audited, controls: Audited) -> Iterator[dict[str, Any]]:
    """Are texts likelier, or more covered, than control texts? By permutation of documents."""
    for statistic in (LOSS, COVERED):
        mine, others = of_units(one, statistic), of_units(controls, statistic)
        stream = generator(0, "audit controls", *map(len, (mine, others)))
        samples = permutation.bootstrap_difference(mine, others, DRAWS, stream)
        low, high = intervals.interval(samples)
        yield {
            **_key(one),
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


def of_units(one: Audited, statistic: str) -> np.ndarray:
    """The mean of a statistic over the texts of each document, (documents,)."""
    values = one.scores["loss"] if statistic == LOSS else covered(one)
    return np.array([values[rows].mean() for rows in one.units()])


def _bag(one: Audited, controls: Audited) -> Iterator[dict[str, Any]]:
    """Which texts are whose, by their words alone: the AUC of a bag of words, without any model."""
    mine, others = (_ids_of_units(some) for some in (one, controls))
    if min(len(mine), len(others)) < FOLDS:
        return
    scores = cross_validated_scores(mine, others, seed=0)
    low, high = _auc_interval(*scores)
    yield {
        **_key(one),
        "units": len(mine),
        "control_units": len(others),
        "auc": roc.auc(*scores),
        "low": low,
        "high": high,
    }


def _ids_of_units(one: Audited) -> list[np.ndarray]:
    return [np.concatenate([one.texts.ids[row] for row in rows]) for rows in one.units()]


def _auc_interval(members: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    stream = generator(0, "audit bootstrap", len(members), len(others))
    counts = [roc.resample_counts(len(side), DRAWS, stream) for side in (members, others)]
    return intervals.interval(roc.bootstrap_auc(members, others, *counts))


def _membership(one: Audited) -> Iterator[dict[str, Any]]:
    """How well scores tell texts that are labelled as members from the others; p of DeLong's test is against loss."""
    rows = {label: one.there[one.texts.label[one.there] == label] for label in (MEMBER, NON_MEMBER)}
    members, others = rows[MEMBER], rows[NON_MEMBER]
    if not len(members) or not len(others):
        return
    for attack, scores in one.scores.items():
        low, high = _auc_interval(scores[members], scores[others])
        rates = {f"tpr_at_fpr_{fpr:g}": roc.tpr_at_fpr(scores[members], scores[others], fpr) for fpr in (0.1, 0.01)}
        yield {
            **_key(one),
            "attack": attack,
            "n_members": len(members),
            "n_non_members": len(others),
            "auc": roc.auc(scores[members], scores[others]),
            "low": low,
            "high": high,
            **rates,
            "delong_p": _delong(one, attack, members, others),
        }


def _delong(one: Audited, attack: str, members: np.ndarray, others: np.ndarray) -> float:
    if attack == "loss" or min(len(members), len(others)) < 2:
        return float("nan")
    mine, loss = one.scores[attack], one.scores["loss"]
    return roc.delong_test(mine[members], mine[others], loss[members], loss[others]).p_value
