"""rho against distance: the joined table, rank correlations against scipy, what is written."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lib.base import places
from lib.perturbations.distances import MEASURES
from lib.reporting import frames
from lib.reporting.writer import Description
from lib.studies.distances import results, tables
from lib.studies.mosaic import auc_table, measurements, rho_table
from lib.studies.mosaic.measurements import Record

LEVELS = {"replace": (1, 5, 25, 50), "shuffle": (0.1, 0.5)}
SETTING = {"replace": "", "shuffle": "ngram=5"}


def record(kind, level, strength, seed):
    stream = np.random.default_rng(seed)
    canaries, others = stream.normal(size=(2, 50))
    labels = {"model": "m", "seed": seed, "kind": kind, "level": level, "setting": SETTING.get(kind, "")}
    return Record(labels, {"ratio": canaries + strength}, {"ratio": others}, nominal_copies=10)


def measured():
    found = [record("exact", nu, 0.2 * nu, seed) for nu in (1, 4, 10) for seed in (1, 2)]
    strengths = {"replace": lambda r: 1.8 - 0.025 * r, "shuffle": lambda tau: 1.5 - tau}
    found += [
        record(kind, level, strengths[kind](level), seed)
        for kind, levels in LEVELS.items() for level in levels for seed in (1, 2)
    ]  # fmt: skip
    return measurements.measure(found, seed=1, n_bootstrap=20)


def means():
    """Levenshtein falls with rho over replacements; jaccard_10 is undefined for shuffles, token Jaccard always 0."""
    found = {}
    for kind, levels in LEVELS.items():
        for level in levels:
            for seed in (1, 2):
                values = dict.fromkeys(MEASURES, level * 2.0 + seed) | {"token_jaccard": 0.0}
                values["jaccard_10"] = float("nan") if kind == "shuffle" else values["levenshtein"]
                found["m", seed, kind, level, SETTING[kind]] = values
    return found


@pytest.fixture(scope="module")
def table():
    return tables.distances_table(rho_table.make(measured()), means())


def test_every_row_of_rho_has_the_distances_of_its_setting(table):
    assert tuple(table.columns) == tables.DISTANCES_COLUMNS
    assert len(table) == 3 * 2 * 6  # two seeds and their mean, two estimators, six perturbations
    one = table[(table["kind"] == "shuffle") & (table["level"] == 0.5)]
    assert set(one[one["seed"] == 2]["levenshtein"]) == {3.0}
    assert set(one[one["seed"].isna()]["levenshtein"]) == {2.5}
    assert one["jaccard_10"].isna().all()


def test_rank_correlations_are_those_of_scipy(table):
    predictors = tables.predictors_table(table, seed=3)
    rows = predictors[predictors["estimator"] == "isotonic"].set_index("distance")
    mine = table[table["seed"].isna() & (table["estimator"] == "isotonic")]
    assert rows.loc["levenshtein", "spearman"] == pytest.approx(spearmanr(mine["rho"], mine["levenshtein"])[0])
    assert rows.loc["levenshtein", "perturbations"] == 6
    assert rows.loc["jaccard_10", "perturbations"] == 4
    assert rows.loc["jaccard_10", "spearman"] == pytest.approx(-1)
    assert np.isnan(rows.loc["token_jaccard", "spearman"])
    assert rows["spearman"].dropna().is_monotonic_increasing
    assert (rows["low"].dropna() <= rows["spearman"].dropna()).all()
    pd.testing.assert_frame_equal(predictors, tables.predictors_table(table.sample(frac=1), seed=3))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=20))
def test_spearman_with_ties_is_that_of_scipy(pairs):
    a, b = np.array(pairs, float).T
    found = tables.spearman(a, b)
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(a, b)[0])


def test_the_interval_holds_the_correlation_of_many_perturbations():
    stream = np.random.default_rng(0)
    rows = pd.DataFrame({"rho": stream.normal(size=60)})
    rows["levenshtein"] = -rows["rho"] + stream.normal(size=60)
    found = tables._correlation(rows, "levenshtein", 1)
    truth = -6 / np.pi * np.arcsin(1 / np.sqrt(2) / 2)  # of a normal pair with correlation -1/sqrt(2)
    assert found["low"] < truth < found["high"]
    assert found["high"] - found["low"] < 0.6


def test_few_perturbations_have_no_correlation(table):
    predictors = tables.predictors_table(table[table["kind"] == "shuffle"], seed=0)
    assert predictors["spearman"].isna().all()
    assert set(predictors["perturbations"]) == {0, 2}


def test_undefined_distances_are_left_out_of_a_mean():
    found = tables.means_of({name: [1.0, np.nan, 3.0] for name in MEASURES} | {"jaccard_10": [np.nan] * 3})
    assert found["levenshtein"] == 2
    assert np.isnan(found["jaccard_10"])


def test_tables_figure_and_report_are_written(tmp_path):
    found = measured()
    auc, rho = auc_table.make(found), rho_table.make(found)
    found = results.write(tmp_path, "distances", auc, rho, means(), Description("Title"), seed=0)
    for stem in ("distances", "predictors", "auc", "rho"):
        assert (places.tables(tmp_path, "distances") / f"{stem}.csv").read_text() == frames.to_csv(found[stem])
    assert (places.figures(tmp_path, "distances") / "rho_by_distance_m.pdf").is_file()
    page = places.report(tmp_path, "distances").read_text()
    assert "predicts ρ best over" in page
    _, rows = results.summary(found)
    assert len(rows) == len(MEASURES)
    assert rows[0][1:3] == ["jaccard_10", "-1.000"]


def test_without_any_rho_there_are_tables_and_a_warning(tmp_path):
    """What a sweep gives of which the exact curve is not done yet."""
    fuzzy = [m for m in measured() if m.kind != "exact"]
    auc, rho = auc_table.make(fuzzy), rho_table.make(fuzzy)
    found = results.write(tmp_path, "x", auc, rho, means(), Description("Distances"), 0)
    assert len(found["distances"])
    assert found["predictors"].empty
    assert "estimates of ρ are empty" in places.report(tmp_path, "x").read_text()
