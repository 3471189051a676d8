"""The table `delong`: the paired DeLong test of every attack against a baseline attack on the same canaries."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import roc, significance
from lib.studies.mosaic.measurements import RECORD_KEY, Record, labels_of
from lib.studies.mosaic.words import CORRECTED, PAPER, split_score

COLUMNS = (
    *RECORD_KEY, "attack", "variant", "auc", "baseline", "baseline_auc", "difference", "standard_error", "z", "p_value",
    "p_holm",
)  # fmt: skip


def make(records: Iterable[Record], baseline: str = "loss") -> pd.DataFrame:
    """The test of every score against the score `baseline`, in COLUMNS.

    p_holm: corrected for the number of comparisons among the scores of one variant of one record.
    """
    rows = [row for record in records if baseline in record.members for row in _rows(record, baseline)]
    return frame(rows, COLUMNS, (*RECORD_KEY, "attack", "variant"))


def _rows(record: Record, baseline: str) -> list[dict[str, Any]]:
    rows = [_row(record, score, baseline) for score in record.members if score != baseline]
    for variant in (CORRECTED, PAPER):
        family = [row for row in rows if row["variant"] == variant]
        for row, corrected in zip(family, significance.holm([row["p_value"] for row in family])):
            row["p_holm"] = float(corrected)
    return rows


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
