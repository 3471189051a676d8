"""Small tables for a terminal or a report."""

from lib.studies.mosaic import auc_table, delong_table, rho_table, summaries
from tests.studies.mosaic.small_sweep import sweep


def test_summary_has_a_row_for_each_attack(rho_of_sweep):
    header, rows = summaries.rho_summary(rho_of_sweep)
    assert header == ["model", "attack", "R=1", "R=10", "R=50"]
    assert [row[:2] for row in rows] == [["m", "loss"], ["m", "ratio"]]
    chosen = rho_of_sweep[
        rho_of_sweep["seed"].isna() & (rho_of_sweep["estimator"] == "isotonic") & (rho_of_sweep["attack"] == "loss")
    ]
    expected = chosen.sort_values("level")
    assert rows[0][2:] == [
        f"{row.rho:.3f}{'†' if flagged else ''} [{row.rho_low:.3f}, {row.rho_high:.3f}]"
        for row, flagged in zip(expected.itertuples(), rho_table.flagged(expected))
    ]


def test_the_closing_table_is_of_one_attack_and_marks_what_is_no_result(rho_of_sweep):
    mine = (rho_of_sweep["attack"] == "ratio") & rho_of_sweep["seed"].isna() & (rho_of_sweep["level"] == 10)
    for flag in rho_table.NO_RESULT:
        changed = rho_of_sweep.assign(**dict.fromkeys(rho_table.NO_RESULT, False))
        changed.loc[mine, flag] = True
        header, rows = summaries.rho_closing(changed, "ratio", "replace")
        assert header == ["model", "R", "ρ", "95 % interval", "AUC"]
        assert [row[1] for row in rows] == ["1", "10", "50"]
        assert [row[2].endswith("†") for row in rows] == [False, True, False]


def test_equal_scores_have_one_row(measured, rho_of_sweep):
    equal = {"loss": "ratio", "ratio": "ratio", "ratio_paper": "ratio_paper"}
    _, rows = summaries.rho_summary(rho_of_sweep, equal=equal)
    assert [row[1] for row in rows] == ["ratio (= loss)"]
    _, rows = summaries.auc_summary(auc_table.means(measured), equal=equal)
    assert [row[1] for row in rows] == ["ratio (= loss)"]


def test_summary_has_a_row_for_each_setting_in_the_order_of_numbers(ablated_measured):
    table = rho_table.make(ablated_measured)
    header, rows = summaries.rho_summary(table, kind="shuffle")
    assert header == ["model", "setting", "attack", "τ=0.1", "τ=0.25"]
    names = ("loss", "ratio")
    assert [row[:3] for row in rows] == [["m", f"ngram={n}", attack] for n in (2, 10) for attack in names]
    header, closing = summaries.rho_closing(table, "ratio", "shuffle")
    assert [row[:3] for row in closing] == [["m", f"n = {n}", tau] for n in (2, 10) for tau in ("0.1", "0.25")]
    chosen = table[table["seed"].isna() & (table["setting"] == "ngram=10") & (table["attack"] == "ratio")]
    chosen = chosen[(chosen["estimator"] == "isotonic") & (chosen["variant"] == "corrected")]
    values = chosen.sort_values("level")["rho"]
    assert [cell.split()[0].strip("†") for cell in rows[3][3:]] == [f"{value:.3f}" for value in values]


def test_delong_summary_shows_the_most_exact_copies():
    table = delong_table.make(sweep())
    header, rows = summaries.delong_summary(table)
    assert header[:3] == ["model", "attack", "seed"]
    assert [row[:3] for row in rows] == [["m", "ratio", "1"], ["m", "ratio", "2"]]
    chosen = table[(table["kind"] == "exact") & (table["level"] == 10) & (table["variant"] == "corrected")]
    assert [row[3] for row in rows] == [f"{auc:.3f}" for auc in chosen["auc"]]
