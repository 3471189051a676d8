"""Differences of rho between settings over the same canaries."""

import numpy as np
import pytest

from lib.base.seeds import generator
from lib.statistics import intervals, roc, significance
from lib.statistics.rho import isotonic
from lib.studies.mosaic import differences_table, measurements, rho_table, summaries
from lib.studies.mosaic.measurements import Record

N = 60
COPIES = (1, 4, 10)


def record(kind, level, strength, setting="", seed=1):
    """Scores of the canaries of a seed; what a setting adds differs from canary to canary."""
    stream = np.random.default_rng([seed, int(100 * level), len(setting)])
    canaries, others = np.random.default_rng(seed).normal(size=(2, N))
    members = canaries + strength + 0.1 * stream.normal(size=N)
    labels = {"model": "m", "seed": seed, "kind": kind, "level": level, "setting": setting}
    return Record(labels, {"ratio": members}, {"ratio": others}, nominal_copies=10)


def sweep(seed=1):
    exact = [record("exact", nu, 0.2 * nu, seed=seed) for nu in COPIES]
    rate = [record("exact", nu, 0.3 * nu, "learning_rate=1", seed) for nu in COPIES]
    fuzzy = [record("replace", r, 1.6 - 0.03 * r, seed=seed) for r in (1, 5, 25)]
    return [*exact, *rate, *fuzzy, record("replace", 5, 1.0, "k=100", seed), record("replace", 5, 1.2, "k=10", seed),
            record("replace", 5, 1.2, "learning_rate=1", seed)]  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return rho_table.rows(measurements.measure([*sweep(1), *sweep(2)], seed=3, n_bootstrap=400))


@pytest.fixture(scope="module")
def found(rows):
    return differences_table.make(rows)


def test_successive_levels_and_settings_of_one_curve_are_compared(found):
    one = found[(found["seed"] == 1) & (found["estimator"] == "paper")]
    pairs = {(a, b, c, d) for a, b, c, d in one[["level", "setting", "other_level", "other_setting"]].to_numpy()}
    assert pairs == {(1, "", 5, ""), (5, "", 25, ""), (5, "", 5, "k=10"), (5, "", 5, "k=100"), (5, "k=10", 5, "k=100")}


def test_the_difference_has_the_interval_of_paired_samples(found):
    """By hand: the same draws of canaries for the curve and both settings, rho of every draw, their differences."""
    given = {(r.labels["kind"], r.labels["level"], r.labels["setting"]): r for r in sweep(1)}
    counts = [
        roc.resample_counts(N, 400, generator(3, f"bootstrap of {side}", 1)) for side in ("members", "non-members")
    ]

    def samples(*key):
        chosen = given[key]
        return roc.bootstrap_auc(chosen.members["ratio"], chosen.non_members["ratio"], *counts)

    curve = np.stack([samples("exact", nu, "") for nu in COPIES], axis=-1)
    low, high = (isotonic(COPIES, curve, samples("replace", r, "")).rho for r in (5, 25))
    row = found[(found["seed"] == 1) & (found["estimator"] == "isotonic") & (found["other_level"] == 25)].iloc[0]
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(low - high, [0.025, 0.975]))
    assert row["difference"] == pytest.approx(row["rho"] - row["other_rho"])


def test_means_over_seeds_keep_both_intervals_apart(found):
    seeds = found[found["seed"].notna() & (found["estimator"] == "paper") & (found["other_level"] == 25)]
    mean = found[found["seed"].isna() & (found["estimator"] == "paper") & (found["other_level"] == 25)].iloc[0]
    assert mean["n_seeds"] == 2
    assert mean["difference"] == pytest.approx(seeds["difference"].mean())
    assert (mean["seeds_low"], mean["seeds_high"]) == pytest.approx(intervals.seeds_interval(seeds["difference"]))
    assert seeds["seeds_low"].isna().all()
    assert mean["low"] < mean["difference"] < mean["high"]


def test_p_values_are_corrected_within_the_comparisons_of_one_kind(found):
    family = found[(found["seed"] == 1) & (found["estimator"] == "paper")]
    np.testing.assert_allclose(family["p_holm"].astype(float), significance.holm(family["p_value"].astype(float)))
    small = family.set_index("other_level").loc[25]
    assert small["p_value"] < 2 / 401  # the least that 400 draws can say alone


def test_without_samples_there_is_a_difference_and_no_p_value():
    plain = [
        dict(row, rho_samples=None) for row in rho_table.rows(measurements.measure(sweep(), seed=3, n_bootstrap=5))
    ]
    found = differences_table.make(plain)
    assert found["difference"].notna().all()
    assert found[["p_value", "p_holm", "low", "high"]].isna().all(axis=None)
    assert len(differences_table.make([])) == 0


def test_the_shown_table_names_both_settings(found):
    header, rows = summaries.differences_summary(found, "ratio", "isotonic")
    assert len(rows) == 5
    assert [row[1:3] for row in rows if "k=10" in row[1]] == [["R=5, k=10", "R=5, k=100"]]
    assert all(len(row) == len(header) for row in rows)
