"""Settings with exact copies of their own beside the default, by hand."""

import numpy as np
import pytest

from lib.base.seeds import generator
from lib.statistics import intervals, roc
from lib.statistics.rho import ESTIMATORS
from lib.studies.mosaic import changes_table, measurements, rho_table, summaries
from tests.studies.mosaic.test_differences_table import COPIES, N, record, sweep


@pytest.fixture(scope="module")
def found():
    measured = measurements.measure([*sweep(1), *sweep(2)], seed=3, n_bootstrap=400)
    return changes_table.make(measured, rho_table.rows(measured))


def test_each_setting_with_a_curve_of_its_own_stands_beside_the_default(found):
    one = found[(found["seed"] == 1) & (found["estimator"] != "paper")]
    points = [("auc", "exact", nu) for nu in COPIES] + [("rho", "replace", 5)]
    assert sorted(map(tuple, one[["quantity", "kind", "level"]].to_numpy())) == sorted(points)
    assert set(one["setting"]) == {"learning_rate=1"}  # k=10 and k=100 are read off the default's curve


def test_a_difference_of_rho_is_that_of_two_curves_by_the_same_draws(found):
    counts = [
        roc.resample_counts(N, 400, generator(3, f"bootstrap of {side}", 1)) for side in ("members", "non-members")
    ]

    def drawn(given):
        return roc.bootstrap_auc(given.members["ratio"], given.non_members["ratio"], *counts)

    def rhos(setting, strengths, fuzzy):
        curve = np.stack([drawn(record("exact", nu, s, setting)) for nu, s in zip(COPIES, strengths)], axis=-1)
        return ESTIMATORS["isotonic"](COPIES, curve, drawn(record("replace", 5, fuzzy, setting))).rho

    changed = rhos("learning_rate=1", [0.3, 1.2, 3.0], 1.2)
    default = rhos("", [0.2, 0.8, 2.0], 1.6 - 0.03 * 5)
    row = found[(found["seed"] == 1) & (found["estimator"] == "isotonic")].iloc[0]
    assert row["difference"] == pytest.approx(row["value"] - row["default"])
    assert (row["low"], row["high"]) == pytest.approx(intervals.interval(changed - default))


def test_means_over_seeds_and_their_summary(found):
    rows = found[(found["quantity"] == "auc") & (found["level"] == 10)]
    mean, each = rows[rows["seed"].isna()].iloc[0], rows[rows["seed"].notna()]
    assert mean["difference"] == pytest.approx(each["difference"].mean())
    assert mean["n_seeds"] == 2
    header, cells = summaries.changes_summary(found, "ratio", "isotonic")
    assert [row[header.index("what")] for row in cells] == ["AUC, ν=10", "ρ, R=5"]


def test_without_such_a_setting_there_is_nothing():
    measured = measurements.measure([record("exact", nu, nu) for nu in COPIES], seed=3, n_bootstrap=10)
    assert changes_table.make(measured, rho_table.rows(measured)).empty
