"""The table `auc` against the statistics of the scores."""

import numpy as np
import pytest

from lib.reporting import frames
from lib.statistics import roc
from lib.studies.mosaic import auc_table
from tests.studies.mosaic.small_sweep import COPIES, REPLACED, N, sweep


def test_columns_stand_where_other_programs_expect_them(measured):
    assert frames.to_csv(auc_table.make(measured)).splitlines()[0] == (
        "model,seed,attack,variant,kind,level,setting,n_members,nominal_copies,effective_copies,auc,auc_low,auc_high,"
        "tpr_at_fpr_0.1,tpr_at_fpr_0.01,tpr_at_fpr_0.001,at_chance"
    )


def test_auc_rows_equal_the_statistics_of_the_scores(measured):
    table = auc_table.make(measured)
    assert len(table) == 2 * (len(COPIES) + len(REPLACED)) * 3
    for one in sweep():
        rows = table[
            (table[["seed", "kind", "level"]] == [one.labels[k] for k in ("seed", "kind", "level")]).all(axis=1)
        ]
        assert set(zip(rows["attack"], rows["variant"])) == {
            ("loss", "corrected"),
            ("ratio", "corrected"),
            ("ratio", "paper"),
        }
        row = rows[(rows["attack"] == "ratio") & (rows["variant"] == "paper")].iloc[0]
        arrays = one.members["ratio_paper"], one.non_members["ratio_paper"]
        assert row["auc"] == roc.auc(*arrays)
        assert row["tpr_at_fpr_0.1"] == roc.tpr_at_fpr(*arrays, 0.1)
        assert row["auc_low"] < row["auc"] < row["auc_high"] or row["auc"] in (0, 1)
        assert row["n_members"] == N
        assert row["effective_copies"] == one.effective_copies
        assert row["nominal_copies"] == (one.labels["level"] if one.labels["kind"] == "exact" else 10)
        assert row["at_chance"] == (row["auc_low"] <= 0.5 <= row["auc_high"])


def test_means_have_the_interval_of_the_mean_of_the_seeds(measured):
    table = auc_table.means(measured)
    assert len(table) == (len(COPIES) + len(REPLACED)) * 3
    row = table[(table["attack"] == "ratio") & (table["variant"] == "paper") & (table["kind"] == "exact")].iloc[0]
    mine = [m for m in measured if m.key[2:6] == ("ratio", "paper", "exact", row["level"])]
    assert [m.seed for m in mine] == [1, 2]
    assert row["auc"] == pytest.approx(np.mean([m.auc for m in mine]))
    samples = (mine[0].samples + mine[1].samples) / 2
    assert (row["auc_low"], row["auc_high"]) == pytest.approx(tuple(np.quantile(samples, [0.025, 0.975])))
    assert auc_table.means(measured[:1])["auc_std"].isna().all()  # one seed
    assert row["auc_std"] == pytest.approx(abs(mine[0].auc - mine[1].auc) / 2)
    assert row["n_seeds"] == 2
