"""The table `delong`: the paired DeLong test of every attack against a baseline attack on the same canaries."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import roc, significance
from lib.studies.mosaic import equal_scores
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.measurements import RECORD_KEY, Record, labels_of
from lib.studies.mosaic.words import CORRECTED, PAPER, split_score

COLUMNS = (
    *RECORD_KEY, "attack", "variant", "auc", "baseline", "baseline_auc", "difference", "standard_error", "z", "p_value",
    "p_holm",
)  # fmt: skip


def make(records: Iterable[Record], baseline: str = "loss") -> pd.DataFrame:
    """The test of every score against the score `baseline`, in COLUMNS.

    p_holm: corrected for the number of comparisons among the scores of one variant of one record. Scores that are equal
    in all records count once; those that equal the baseline are no comparison, and have none.
    """
    records = list(records)
    equal = equal_scores.find(records)
    rows = [row for record in records if baseline in record.members for row in _rows(record, baseline, equal)]
    return frame(rows, COLUMNS, (*RECORD_KEY, "attack", "variant"))


def _rows(record: Record, baseline: str, equal: Equal) -> list[dict[str, Any]]:
    scores = [score for score in record.members if score != baseline]
    rows = {score: _row(record, score, baseline) for score in scores}
    for variant in (CORRECTED, PAPER):
        family = [s for s in scores if rows[s]["variant"] == variant and equal[s] != equal[baseline]]
        p_values = {equal[score]: rows[score]["p_value"] for score in family}
        corrected = dict(zip(p_values, significance.holm(list(p_values.values()))))
        for score in family:
            rows[score]["p_holm"] = float(corrected[equal[score]])
    return list(rows.values())


def _row(record: Record, score: str, baseline: str) -> dict[str, Any]:
    attack, variant = split_score(score)
    arrays = record.members[score], record.non_members[score]
    against = record.members[baseline], record.non_members[baseline]
    test = roc.delong_test(*arrays, *against)
    return {
        **labels_of(record),
        **{"attack": attack, "variant": variant, "auc": roc.auc(*arrays)},
        **{"baseline": baseline, "baseline_auc": roc.auc(*against)},
        **test._asdict(),
    }
