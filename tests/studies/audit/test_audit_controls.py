"""The tables and sentences of an audit's controls: documents, reference, fuzzy duplicates, against counts by hand."""

from dataclasses import replace

import numpy as np
import pytest

from lib.audit.texts_file import MEMBER, NON_MEMBER
from lib.studies.audit import comparison, findings, measures, results, tables
from lib.studies.audit.reading import Audited, Fuzzy
from tests.studies.audit.test_audit_tables import audited


def with_gap(one: Audited, level: float) -> Audited:
    """Under a reference that finds each byte less likely by `level`, more or less."""
    n = len(one.windows["text"])
    size = np.full(n, 10)
    noise = np.random.default_rng(n).normal(0, 0.01, n)
    own = -20.0 + 0 * noise
    columns = {"log_p_own": own, "bytes": size, "reference_log_p": own - 10 * (level + noise), "reference_bytes": size}
    gap = np.full(len(one.texts.text), np.nan)
    gap[one.there] = level
    return replace(one, windows={**one.windows, **columns}, gap=gap)


def with_fuzzy(one: Audited, margins: np.ndarray, **more: np.ndarray) -> Audited:
    """Two windows of every text that has some; margins: (windows, levels, variations)."""
    text = np.repeat(one.there, 2)
    return replace(one, fuzzy=Fuzzy(text, np.zeros(len(text), int), {"margin": margins, **more}, (1, 5)))


def test_each_document_is_compared_with_the_control_documents() -> None:
    mine, controls = audited("mine", 8, {}, 5.0), audited("controls", 9, {})
    rows = comparison.documents(mine, controls)
    assert len(rows) == 7
    assert all(row["p_value"] == 1 / 9 for row in rows)  # above all 8 control texts
    assert all(row["p_holm"] == pytest.approx(7 / 9) for row in rows)
    grouped = audited("mine", 8, {}, 5.0, group=["a"] * 4 + ["b"] * 4)
    rows = comparison.documents(grouped, controls)
    assert [row["texts"] for row in rows] == [4, 3]
    assert rows[0]["p_value"] == pytest.approx(1 / 495)  # 12 over 4 divisions
    assert rows[0]["value"] == pytest.approx(grouped.scores["loss"][:4].mean())
    both = audited("controls", 9, {}, group=["x"] * 4 + ["y"] * 5)
    assert {row["p_value"] for row in comparison.documents(grouped, both)} == {1 / 3}  # of a whole among two wholes


def test_a_reference_gives_a_gap_for_every_text_and_for_collections() -> None:
    found = [with_gap(audited("mine", 8, {}), 0.5), with_gap(audited("controls", 9, {}), 0.2)]
    made = tables.make(found)
    row = made["controls"].set_index("statistic").loc[measures.GAP]
    assert row["difference"] == pytest.approx(0.3)
    assert row["p_value"] == pytest.approx(1 / 6435)
    texts = made["texts"][made["texts"]["collection"] == "mine"].set_index("name")
    assert texts.loc["t0", "gap_low"] < 0.5 < texts.loc["t0", "gap_high"]
    assert texts.loc["t0", "gap_high"] - texts.loc["t0", "gap_low"] < 0.05
    assert any("likelier than under the reference model by 0.500 nats" in one for one in findings.in_words(made))


def test_ranks_and_dose_of_fuzzy_duplicates() -> None:
    mine, controls = audited("mine", 4, {}), audited("controls", 4, {})
    margins = np.ones((6, 2, 3))
    margins[:, 0] = [[1, 1, -1], [0, 1, 1], [-1, -1, -1], [1, 1, 1], [1, -1, 1], [-1, 1, -1]]
    mine, controls = with_fuzzy(mine, margins), with_fuzzy(controls, -margins)
    made = tables.make([mine, controls])
    rows = made["fuzzy"][made["fuzzy"]["collection"] == "mine"].set_index("replaced")
    assert (rows.loc[1, "mean_rank"], rows.loc[1, "first"]) == (pytest.approx((2 + 2 + 4 + 1 + 2 + 3) / 6), 1 / 6)
    assert rows.loc[1, "auc"] == pytest.approx((2 + 2.5 + 0 + 3 + 2 + 1) / 18)
    assert rows.loc[5, "auc"] == 1
    assert rows.loc[5, "p_value"] == pytest.approx(1 / 4**6)
    assert rows.loc[5, "p_holm"] == pytest.approx(2 / 4**6)
    assert rows.loc[5, "control"] == 0
    assert rows.loc[5, "p_controls"] == pytest.approx(1 / 20)  # 6 over 3 divisions
    assert rows.loc[1, "p_controls_holm"] >= rows.loc[5, "p_controls_holm"] == pytest.approx(2 / 20)
    single = made["fuzzy_texts"][made["fuzzy_texts"]["replaced"] == 5]
    assert set(single[single["collection"] == "mine"]["p_value"]) == {1 / 16}
    said = findings.in_words(made)
    assert any("with probability 0.583 with R = 1 (0.417 in the control texts" in one for one in said)
    assert any("With no R is that more than in the control texts" in one for one in said)
    warned = findings.warnings([mine, controls], made, most_texts=4)
    assert any("not one among its fuzzy duplicates" in one for one in warned)
    assert any("Only the first 4 texts of mine, controls were read" in one for one in warned)
    assert "fuzzy" in [table.name for table in results.shown(made)]
    (panel,) = results.draw(made)[1].figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in panel.lines if line.get_marker() != "None"}
    assert drawn["mine"] == [[1, pytest.approx(10.5 / 18)], [5, 1]]


def test_a_window_without_a_token_of_the_reference_is_left_out_of_its_measure_alone() -> None:
    margins = np.ones((6, 2, 3))
    gap = margins.copy()
    gap[0, 1, 2] = np.nan
    made = tables.make([with_fuzzy(audited("mine", 4, {}), margins, gap=gap)])["fuzzy"]
    assert made.groupby("measure")["windows"].unique().map(list).to_dict() == {
        "less the reference's": [5],
        "log-probability": [6],
    }


def test_where_nothing_is_extracted_the_upper_end_is_of_documents_and_never_grows() -> None:
    one = audited("mine", 8, {0: {0, 1}})
    rows = list(tables._thresholds(one))
    assert rows[1]["extracted"] == 0
    assert rows[1]["high"] <= rows[0]["high"]
    (none, *_) = list(tables._thresholds(audited("mine", 8, {})))
    assert none["high"] == pytest.approx(1 - 0.05 ** (1 / 7))  # seven documents have windows
    assert none["low"] == 0


def test_p_values_of_scores_are_corrected_for_their_number() -> None:
    labels = np.array([MEMBER] * 4 + [NON_MEMBER] * 4, dtype=np.int8)
    one = audited("mine", 8, {}, label=labels)
    one.scores["loss"][:7] = [9, 8, 7, 6, 1, 2, 3]
    rows = tables.make([one])["membership"].set_index("attack")
    assert rows.loc["loss", "p_value"] == pytest.approx(1 / 35)  # 7 over 4 divisions
    assert rows.loc["loss", "p_holm"] == pytest.approx(2 / 35)
    assert rows.loc["min_k", "delong_p_holm"] == rows.loc["min_k", "delong_p"]  # one is compared
