"""The paired DeLong test of every attack against a baseline."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import roc, significance
from lib.studies.mosaic.measure import POINT, Record, labels_of
from lib.studies.mosaic.words import CORRECTED, PAPER, split_score

DELONG_COLUMNS = (
    *POINT, "attack", "variant", "auc", "baseline", "baseline_auc", "difference", "standard_error", "z", "p_value",
    "p_holm",
)  # fmt: skip


def delong_table(records: Iterable[Record], baseline: str = "loss") -> pd.DataFrame:
    """The paired DeLong test of every score against `baseline` on the same canaries, in DELONG_COLUMNS.

    p_holm: corrected for the comparisons of the record's scores of one variant.
    """
    rows = [row for record in records if baseline in record.members for row in _delong_rows(record, baseline)]
    return frame(rows, DELONG_COLUMNS, (*POINT, "attack", "variant"))


def _delong_rows(record: Record, baseline: str) -> list[dict[str, Any]]:
    rows = [_delong_row(record, score, baseline) for score in record.members if score != baseline]
    for variant in (CORRECTED, PAPER):
        family = [row for row in rows if row["variant"] == variant]
        for row, corrected in zip(family, significance.holm([row["p_value"] for row in family])):
            row["p_holm"] = float(corrected)
    return rows


def _delong_row(record: Record, score: str, baseline: str) -> dict[str, Any]:
    attack, variant = split_score(score)
    arrays = record.members[score], record.non_members[score]
    against = record.members[baseline], record.non_members[baseline]
    test = roc.delong_test(*arrays, *against)
    return {
        **labels_of(record),
        "attack": attack, "variant": variant, "auc": roc.auc(*arrays),
        "baseline": baseline, "baseline_auc": roc.auc(*against), **test._asdict(),
    }  # fmt: skip
