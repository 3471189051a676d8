"""The table `delong` against the test of the statistics."""

import pytest

from lib.statistics import roc
from lib.studies.mosaic import delong_table
from tests.studies.mosaic.small_sweep import sweep


def test_delong_compares_with_the_loss_on_the_same_canaries():
    records = sweep(seeds=(1,))[:2]
    table = delong_table.make(records)
    assert list(table.columns) == list(delong_table.COLUMNS)
    assert len(table) == 2 * 2
    one = records[0]
    row = table[(table["level"] == 1) & (table["variant"] == "paper")].iloc[0]
    test = roc.delong_test(
        one.members["ratio_paper"], one.non_members["ratio_paper"], one.members["loss"], one.non_members["loss"]
    )
    assert row["p_value"] == test.p_value
    assert row["difference"] == pytest.approx(row["auc"] - row["baseline_auc"])
