"""A membership baseline that sees no model: can a bag of words tell members from non-members?

An AUC far from 0.5 means that the two sets differ in their texts, so that every attack's AUC is suspect (Duan
et al. 2024, "Do membership inference attacks work on large language models?").
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from lib.base.ragged import Ids
from lib.base.seeds import generator
from lib.studies.mosaic.measurements import Record
from lib.studies.mosaic.words import NO_INJECTION

FOLDS = 5

Rows = Sequence[Ids] | NDArray[np.integer]  # token ids of every canary

log = logging.getLogger(__name__)


def cross_validated_scores(
    members: Rows, non_members: Rows, seed: int, folds: int = FOLDS
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold scores (n,), (m,) float64, higher = member, of a logistic regression on token presence.

    members, non_members: token ids of every canary (rows of any length). Folds are stratified and drawn from
    (seed, "bag of words folds"). The AUC of the scores is the baseline.
    Raises ValueError when a side has fewer canaries than folds.
    """
    if min(len(members), len(non_members)) < folds:
        found = f"{len(members)} members and {len(non_members)} non-members"
        raise ValueError(f"{folds} folds need {folds} canaries on each side; there are {found}")
    features = _presence([*members, *non_members])
    labels = np.repeat([1, 0], [len(members), len(non_members)])
    fold = np.concatenate([_folds(len(side), folds, seed, i) for i, side in enumerate((members, non_members))])
    scores = np.empty(len(labels))
    for held_out in range(folds):
        train, test = fold != held_out, fold == held_out
        scores[test] = _fit(features[train], labels[train]).decision_function(features[test])
    return scores[: len(members)], scores[len(members) :]


def record(model: str, seed: int, members: Rows, non_members: Rows) -> Record | None:
    """The baseline of one model's canaries as a record of the tables (attack `bag_of_words`, kind `none`, level 0).

    None, and a warning, when there are fewer canaries than folds.
    """
    if min(len(members), len(non_members)) < FOLDS:
        log.warning("no bag-of-words baseline for %s, seed %d: it needs %d canaries on each side", model, seed, FOLDS)
        return None
    scores = cross_validated_scores(members, non_members, seed)
    labels = {"model": model, "seed": seed, "kind": NO_INJECTION, "level": 0}
    return Record(labels, {"bag_of_words": scores[0]}, {"bag_of_words": scores[1]})


def _folds(n: int, folds: int, seed: int, side: int) -> np.ndarray:
    """(n,) fold numbers, as equal in size as can be, in random order."""
    return generator(seed, "bag of words folds", side).permutation(np.arange(n) % folds)


def _fit(features: csr_matrix, labels: np.ndarray) -> LogisticRegression:
    # Balanced weights keep the intercept of one fold comparable with that of another.
    return LogisticRegression(class_weight="balanced", max_iter=1000).fit(features, labels)


def _presence(texts: Sequence[Sequence[int]]) -> csr_matrix:
    """(texts, distinct tokens) float64: 1 where the text holds the token."""
    vocabulary, columns = np.unique(np.concatenate([np.asarray(text) for text in texts]), return_inverse=True)
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(vocabulary)))
    counts.data[:] = 1.0
    return counts
