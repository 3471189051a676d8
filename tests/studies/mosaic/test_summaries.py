"""Small tables for a terminal or a report."""

from lib.studies.mosaic import delong_table, rho_table, summaries
from tests.studies.mosaic.small_sweep import sweep


def test_summary_has_a_row_for_each_attack(rho_of_sweep):
    header, rows = summaries.rho_summary(rho_of_sweep)
    assert header == ["model", "attack", "R=1", "R=10", "R=50"]
    assert [row[:2] for row in rows] == [["m", "loss"], ["m", "ratio"]]
    chosen = rho_of_sweep[
        rho_of_sweep["seed"].isna() & (rho_of_sweep["estimator"] == "isotonic") & (rho_of_sweep["attack"] == "loss")
    ]
    assert rows[0][2:] == [f"{value:.3f}" for value in chosen.sort_values("level")["rho"]]


def test_summary_has_a_row_for_each_setting_in_the_order_of_numbers(ablated_measured):
    table = rho_table.make(ablated_measured)
    header, rows = summaries.rho_summary(table, kind="shuffle")
    assert header == ["model", "setting", "attack", "τ=0.1", "τ=0.25"]
    names = ("loss", "ratio")
    assert [row[:3] for row in rows] == [["m", f"ngram={n}", attack] for n in (2, 10) for attack in names]
    assert [row[2] for row in summaries.rho_summary(table, kind="shuffle", attack="ratio")[1]] == ["ratio"] * 2
    chosen = table[table["seed"].isna() & (table["setting"] == "ngram=10") & (table["attack"] == "ratio")]
    chosen = chosen[(chosen["estimator"] == "isotonic") & (chosen["variant"] == "corrected")]
    assert rows[3][3:] == [f"{value:.3f}" for value in chosen.sort_values("level")["rho"]]


def test_delong_summary_shows_the_most_exact_copies():
    table = delong_table.make(sweep())
    header, rows = summaries.delong_summary(table)
    assert header[:3] == ["model", "attack", "seed"]
    assert [row[:3] for row in rows] == [["m", "ratio", "1"], ["m", "ratio", "2"]]
    chosen = table[(table["kind"] == "exact") & (table["level"] == 10) & (table["variant"] == "corrected")]
    assert [row[3] for row in rows] == [f"{auc:.3f}" for auc in chosen["auc"]]
