"""What makes membership scores say less than they seem to: the same texts twice, a reference that is the target.

Nothing here is an error: scores are computed all the same, and the log says what they are worth.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lib.base import ragged

ROUNDING = 1e-5  # nats a token between two passes of one model over one text

logger = logging.getLogger(__name__)


def warn(evidence: Mapping[str, Any]) -> None:
    """Log a warning for texts that occur twice in the evidence of one side, and for a reference that is the target.

    evidence: as `lib.attacks.scores.compute` takes it.
    """
    for message in (*_repeated(evidence.get("texts", ())), *_same_model(evidence)):
        logger.warning(message)


def warn_of_shared(members: Sequence[str], non_members: Sequence[str]) -> None:
    """Log a warning if texts of one side are texts of the other: no attack can tell these apart."""
    known = Counter(non_members)
    rows = [row for row, text in enumerate(members) if text in known]
    if rows:
        logger.warning(
            "%d of %d members are non-members as well (the first: row %d), and no attack can tell these apart, which "
            "draws the AUC to 0.5; take them out of one side", len(rows), len(members), rows[0],
        )  # fmt: skip


def _repeated(texts: Sequence[str]) -> Iterator[str]:
    counts = Counter(texts)
    if len(counts) < len(texts):
        row = next(row for row, text in enumerate(texts) if counts[text] > 1)
        yield (
            f"{len(texts) - len(counts)} of {len(texts)} texts are copies of another one (row {row} has one): they are "
            "no cases of their own, and intervals that count them are too narrow; give each text once"
        )


def _same_model(evidence: Mapping[str, Any]) -> Iterator[str]:
    rows = evidence.get("log_probs", ())
    if not len(rows):
        return
    if "reference_means" in evidence and _equal(ragged.means(rows), evidence["reference_means"]):
        yield "the reference has the likelihoods of the target: ratio compares a model with itself, and says nothing"
    others = evidence.get("reference_log_probs", ())
    if len(others) == len(rows) and all(map(_equal, rows, others)):
        yield "reference_log_probs are those of the target: wbc and ez compare a model with itself, and say nothing"


def _equal(one: Any, other: Any) -> bool:
    return np.shape(one) == np.shape(other) and bool(np.allclose(one, other, rtol=0, atol=ROUNDING))
