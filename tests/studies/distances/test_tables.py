"""rho against distance: the joined table, and rank correlations against scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lib.studies.distances import tables
from lib.studies.mosaic import published, rho_table
from tests.studies.distances.perturbations import means, measured, theirs


@pytest.fixture(scope="module")
def table():
    return tables.make(rho_table.make(measured()), means(), published.beside(theirs()), 0)["distances"]


def test_every_row_of_rho_has_the_distances_of_its_setting(table):
    assert tuple(table.columns) == tables.DISTANCES_COLUMNS
    assert len(table) == 3 * 2 * 6  # two seeds and their mean, two estimators, six perturbations
    one = table[(table["kind"] == "shuffle") & (table["level"] == 0.5)]
    assert set(one[one["seed"] == 2]["levenshtein"]) == {3.0}
    assert set(one[one["seed"].isna()]["levenshtein"]) == {2.5}
    assert one["jaccard_10"].isna().all()


def test_published_rho_stands_beside_means_of_the_ratio_attack_by_the_paper_estimator(table):
    beside = table[table["published_mean"].notna()].sort_values("level")
    assert beside["level"].tolist() == [1, 5, 25, 50]
    assert beside["published_mean"].tolist() == pytest.approx([0.898, 0.781, 0.401, 0.186], abs=5e-4)
    assert set(beside["estimator"]) == {"paper"}
    assert beside["seed"].isna().all()
    assert set(beside["published_source"]) == {"published, gptneo1B"}
    assert set(table["published_source"]) == {"", "published, gptneo1B"}


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
