"""Tables, figures and report of the architectures study."""

import pandas as pd
import pytest

from lib.base import places
from lib.reporting import frames, page
from lib.reporting.writer import Description
from lib.studies.architectures import findings, results
from lib.studies.mosaic import equal_scores, measurements
from tests.studies.architectures import models
from tests.studies.architectures.models import TRAINED
from tests.studies.mosaic.small_sweep import twice

PLANNED = {(model, ""): 10 for model in TRAINED}


@pytest.fixture(scope="module")
def measured():
    return models.measured()


def test_the_results_are_written_and_repeat_byte_for_byte(measured, tmp_path):
    for folder in ("a", "b"):
        found = results.write(tmp_path / folder, "s", measured, Description("title"), PLANNED, TRAINED, {})
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*") if file.is_file())
    names = {file.name for file in files}
    assert {"rho.csv", "families.csv", "exposure.csv", "rates.csv", "rho.png", "exposure.png", "report.html"} <= names
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    read = frames.read_csv(places.tables(tmp_path / "a", "s") / "families.csv")
    pd.testing.assert_frame_equal(read, found["families"], rtol=1e-6)


def test_the_report_says_which_model_keeps_less(measured, tmp_path):
    results.write(tmp_path, "s", measured, Description("title"), PLANNED, TRAINED, {})
    text = " ".join(page.read(places.report_data(tmp_path, "s")).summary)
    assert "Over all 3 perturbations the mean ρ is" in text
    assert "Single perturbations that tell them apart at 5 % (Holm): replace R = 5" in text


def test_the_closing_table_has_the_first_model_first(measured):
    header, rows = results.summary(results.make(measured, PLANNED, TRAINED), TRAINED)
    assert header == ["perturbation", *TRAINED]
    assert [row[0] for row in rows] == ["replace R=5", "replace R=50", "shuffle τ=0.5, n = 2"]


def test_an_equal_score_changes_nothing_but_the_name_of_its_attack(measured, tmp_path):
    doubled = twice(models.records())
    both = measurements.measure(doubled, seed=0, n_bootstrap=300)
    equal = equal_scores.find(doubled)
    one, two = (
        results.write(tmp_path, name, found, Description("title"), PLANNED, TRAINED, same)
        for name, found, same in (("one", measured, {}), ("two", both, equal))
    )
    assert len(two["families"]) == 2 * len(one["families"])
    corrected = two["families"][two["families"]["variant"] == "corrected"].reset_index(drop=True)
    pd.testing.assert_frame_equal(corrected, one["families"])  # p by Holm among them
    before, after = (page.read(places.report_data(tmp_path, name)) for name in ("one", "two"))
    assert (before.warnings, before.summary) == (after.warnings, after.summary)
    assert [table.rows for table in before.tables] == [table.rows for table in after.tables]
    assert "Attack: ratio. " in before.tables[0].caption
    assert f"Attack: ratio (= ratio paper). {equal_scores.EQUAL}" in after.tables[0].caption


def exposure(difference):
    return pd.DataFrame([{"model": "slow", "other_model": "attentive", "nu_max": 10, "difference": difference}])


def rates(matched):
    return pd.DataFrame([{"model": "slow", "matched_rate": matched}])


@pytest.mark.parametrize(
    ("difference", "matched", "said"),
    [
        (0.02, 1.05e-3, []),
        (-0.04, 1e-3, ["slow and attentive are not equally exposed: their AUCs after ν = 10 differ by -0.040"]),
        (0.0, 2e-3, ["slow was trained at 0.001, but the rule gives 0.002"]),
        (0.0, float("nan"), ["slow: none of its tried rates brackets the AUC of the first model"]),
    ],
)
def test_unequal_exposure_and_rates_off_the_rule_are_warned_of(difference, matched, said):
    found = list(findings.warnings(exposure(difference), rates(matched), TRAINED))
    assert len(found) == len(said)
    assert all(text in one for text, one in zip(said, found))
