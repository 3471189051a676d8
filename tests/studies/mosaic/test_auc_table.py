"""The table `auc` against the statistics of the scores."""

from lib.reporting import frames
from lib.statistics import roc
from lib.studies.mosaic import auc_table
from tests.studies.mosaic.small_sweep import COPIES, REPLACED, N, sweep


def test_columns_stand_where_other_programs_expect_them(measured):
    assert frames.to_csv(auc_table.make(measured)).splitlines()[0] == (
        "model,seed,attack,variant,kind,level,setting,n_members,nominal_copies,effective_copies,auc,auc_low,auc_high,"
        "tpr_at_fpr_0.1,tpr_at_fpr_0.01,tpr_at_fpr_0.001"
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
