"""Labelled members against the others: AUC and TPR at low FPR of each score."""

from typing import Any

import numpy as np
from scipy import stats

from lib.audit.texts_file import MEMBER, NON_MEMBER
from lib.base.seeds import generator
from lib.statistics import intervals, roc
from lib.statistics.significance import holm
from lib.studies.audit.measures import DRAWS, KEY, key
from lib.studies.audit.reading import Audited

RATES = (0.1, 0.01)
MEMBERSHIP = (
    *KEY,
    "attack",
    "n_members",
    "n_non_members",
    "auc",
    "low",
    "high",
    *(f"tpr_at_fpr_{fpr:g}" for fpr in RATES),
    "delong_p",
    "delong_p_holm",
    "p_value",
    "p_holm",
)


def rows(one: Audited) -> list[dict[str, Any]]:
    """How well scores tell texts that are labelled as members from the others: a row for each score.

    p_value: of "both are drawn alike" against larger scores of members (Mann and Whitney 1947, one-sided); delong_p: of
    the AUC of the loss, by DeLong's test. Both are corrected for the number of scores by Holm's method.
    """
    members, others = (one.there[one.texts.label[one.there] == label] for label in (MEMBER, NON_MEMBER))
    if not len(members) or not len(others):
        return []
    found = [_row(one, attack, members, others) for attack in one.scores]
    tested = [row for row in found if row["attack"] != "loss" and not np.isnan(row["delong_p"])]
    for row, p in zip(tested, holm([row["delong_p"] for row in tested])):
        row["delong_p_holm"] = p
    for row, p in zip(found, holm([row["p_value"] for row in found])):
        row["p_holm"] = p
    return found


def _row(one: Audited, attack: str, members: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    mine, rest = one.scores[attack][members], one.scores[attack][others]
    low, high = auc_interval(mine, rest)
    return {
        **key(one),
        "attack": attack,
        "n_members": len(members),
        "n_non_members": len(others),
        "auc": roc.auc(mine, rest),
        "low": low,
        "high": high,
        **{f"tpr_at_fpr_{fpr:g}": roc.tpr_at_fpr(mine, rest, fpr) for fpr in RATES},
        "delong_p": _delong(one, attack, members, others),
        "p_value": float(stats.mannwhitneyu(mine, rest, alternative="greater").pvalue),
    }


def auc_interval(members: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The bootstrap interval of an AUC, members and others drawn apart."""
    stream = generator(0, "audit bootstrap", len(members), len(others))
    counts = [roc.resample_counts(len(side), DRAWS, stream) for side in (members, others)]
    return intervals.interval(roc.bootstrap_auc(members, others, *counts))


def _delong(one: Audited, attack: str, members: np.ndarray, others: np.ndarray) -> float:
    if attack == "loss" or min(len(members), len(others)) < 2:
        return float("nan")
    mine, loss = one.scores[attack], one.scores["loss"]
    return roc.delong_test(mine[members], mine[others], loss[members], loss[others]).p_value
