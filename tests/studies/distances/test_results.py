"""What the distances study writes."""

from lib.base import places
from lib.perturbations.distances import MEASURES
from lib.reporting import frames, page
from lib.reporting.writer import Description
from lib.studies.distances import results
from lib.studies.mosaic import auc_table, equal_scores, measurements, rho_table
from tests.studies.distances.perturbations import means, measured, record, records, theirs
from tests.studies.mosaic.small_sweep import twice


def test_tables_figure_and_report_are_written(tmp_path):
    found = measured()
    auc, rho = auc_table.make(found), rho_table.make(found)
    found = results.write(tmp_path, "distances", auc, rho, means(), theirs(), Description("Title"), 0, {})
    for stem in ("distances", "predictors", "auc", "rho"):
        assert (places.tables(tmp_path, "distances") / f"{stem}.csv").read_text() == frames.to_csv(found[stem])
    assert (places.figures(tmp_path, "distances") / "rho_by_distance_m.pdf").is_file()
    page = places.report(tmp_path, "distances").read_text()
    assert "predicts ρ best (Spearman" in page
    _, rows = results.summary(found)
    assert len(rows) == len(MEASURES)
    assert rows[0][1:3] == ["jaccard_10", "-1.000"]
    header, *rows = [line.split("|") for line in _markdown(tmp_path, "distances")]
    column = [cell.strip() for cell in header].index("published ρ")
    assert [row[column].strip() for row in rows[1:]] == ["0.898", "0.781", "0.401", "0.186", "", ""]
    assert (places.tables(tmp_path, "distances") / places.PUBLISHED_CURVES).is_file()


def test_an_equal_score_changes_nothing_but_the_name_of_its_attack(tmp_path):
    plain = [*records(), *(record("replace", 75, 9.0, seed) for seed in (1, 2))]  # beyond the exact curve
    for name, given in (("one", plain), ("two", twice(plain))):
        found, equal = measurements.measure(given, seed=1, n_bootstrap=20), equal_scores.find(given)
        auc, rho = auc_table.make(found), rho_table.make(found)
        results.write(tmp_path, name, auc, rho, means(), theirs(), Description("Title"), 0, equal)
    before, after = (page.read(places.report_data(tmp_path, name)) for name in ("one", "two"))
    assert before.warnings
    assert (before.warnings, before.summary) == (after.warnings, after.summary)
    assert [table.rows for table in before.tables] == [table.rows for table in after.tables]
    assert f"Attack: ratio (= ratio paper). {equal_scores.EQUAL}" in after.tables[0].caption


def _markdown(root, name):
    return (places.tables(root, "distances") / f"{name}.md").read_text().strip().splitlines()


def test_without_any_rho_there_are_tables_and_a_warning(tmp_path):
    """What a sweep gives of which the exact curve is not done yet."""
    fuzzy = [m for m in measured() if m.kind != "exact"]
    auc, rho = auc_table.make(fuzzy), rho_table.make(fuzzy)
    found = results.write(tmp_path, "x", auc, rho, means(), {}, Description("Distances"), 0, {})
    assert len(found["distances"])
    assert found["predictors"].empty
    assert "estimates of ρ are empty" in places.report(tmp_path, "x").read_text()
