"""Several models side by side, for windows that are made up."""

import dataclasses

import pandas as pd
import pytest

from lib.studies.audit import figures, results, side_by_side, tables
from tests.studies.audit.test_audit_tables import audited

HIT = {0: {0, 1, 5}, 3: {4}}  # text -> starts of windows with p_z = 1/2; all others have 1e-6


def test_a_text_has_a_row_with_what_each_model_says_of_it() -> None:
    found = [
        dataclasses.replace(audited(collection, 8, hit), model=model)
        for model, hit in (("small", {}), ("large", HIT))
        for collection in ("mine", "more")
    ]
    table = side_by_side.make(found).set_index(["texts", "name"])
    assert list(table.index[:4]) == [("mine", "t0"), ("more", "t0"), ("mine", "t3"), ("more", "t3")]
    row = table.loc[("mine", "t0")]
    assert (row["small: covered"], row["large: covered"]) == (0, 0.5)
    assert row["small: largest p_z"] == pytest.approx(1e-6)
    assert row["large: log-probability"] == found[2].scores["loss"][0]
    (shown,) = side_by_side.tables(found, 3)
    assert shown.rows[0][:4] == ["mine", "t0", "0 %", "1e-06"]
    assert shown.rows[0][5:7] == ["50 %", "0.5"]
    assert (len(shown.rows), shown.n_rows) == (3, 16)
    assert side_by_side.tables(found[:2], 3) == []
    drawn = figures.curve_figure(tables.make(found)["curve"])
    assert [axes.get_title() for axes in drawn.axes] == ["mine", "more"]
    assert [line.get_label() for line in drawn.axes[0].lines] == ["small", "large"]


def test_the_report_lists_the_most_covered_text_of_all_collections_first() -> None:
    made = tables.make([audited("mine", 3, {}), audited("more", 8, HIT)])
    assert list(pd.unique(made["texts"]["collection"])) == ["mine", "more"]
    (listed,) = (table for table in results.shown(made) if table.name == "texts")
    assert [row[1:3] for row in listed.rows[:2]] == [["more", "t0"], ["more", "t3"]]
