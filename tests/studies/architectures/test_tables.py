"""Differences between models on the same canaries, and the rule for rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.seeds import generator
from lib.statistics import intervals, roc, significance
from lib.statistics.rho import isotonic
from lib.studies.architectures import tables
from lib.studies.architectures.tables import matched_rate
from lib.studies.mosaic import rho_table
from tests.studies.architectures import models
from tests.studies.architectures.models import COPIES, TRAINED


@pytest.fixture(scope="module")
def measured():
    return models.measured()


@pytest.fixture(scope="module")
def families(measured):
    found = tables.families_table(rho_table.rows(measured), TRAINED)
    return found[found["estimator"] == "isotonic"]


@given(
    low=st.floats(1e-6, 1e-2), factor=st.floats(1.1, 10), share=st.floats(0.01, 0.99), start=st.floats(0.5, 0.7),
    rise=st.floats(0.01, 0.3),
)  # fmt: skip
def test_the_rate_is_read_off_a_line_in_the_log_of_the_rate(low, factor, share, start, rise):
    """An AUC that is linear in ln(rate) has the target exactly there."""
    found = matched_rate([low, low * factor], [start, start + rise], start + share * rise)
    assert found == pytest.approx(low * factor**share, rel=1e-6)


def test_the_lowest_of_several_rates_is_taken_and_none_is_nan():
    assert matched_rate([1, 2, 4, 8], [0.6, 0.8, 0.9, 0.6], 0.8) == 2
    assert matched_rate([1, 4, 16], [0.6, 0.8, 0.6], 0.7) == pytest.approx(2)
    assert np.isnan(matched_rate([1, 2], [0.6, 0.7], 0.9))
    assert np.isnan(matched_rate([], [], 0.9))


def test_means_over_perturbations_are_of_those_that_both_models_have(measured):
    """In tables of an unfinished sweep one model may lack a perturbation."""
    kept = [one for one in measured if (one.model, one.kind, one.level) != ("slow", "replace", 50)]
    found = tables.families_table(rho_table.rows(kept), TRAINED)
    found = found[(found["estimator"] == "isotonic") & (found["seed"] == 1)]
    for _, rows in found.groupby(["model", "other_model"]):
        every, single = rows[rows["kind"] == tables.EVERY], rows[rows["kind"] != tables.EVERY]
        for name in ("rho", "other_rho", "difference"):
            assert every[name].item() == pytest.approx(single[name].mean())


def test_rates_are_those_of_the_grid_and_the_target_is_the_first_model(measured):
    found = tables.rates_table(measured, TRAINED)
    assert list(found["model"]) == ["slow"] * 3
    assert list(found["learning_rate"]) == list(models.RATES)
    (target,) = {
        one.auc
        for one in measured
        if (one.model, one.seed, one.kind, one.level, one.setting) == ("attentive", 1, "exact", 10, "")
    }
    assert set(found["target_auc"]) == {target}
    assert set(found["matched_rate"]) == {matched_rate(models.RATES, found["auc"], target)}


def test_every_pair_of_models_is_compared_at_every_perturbation_and_over_all(families):
    seeds = families[families["seed"] == 1]
    assert set(zip(seeds["model"], seeds["other_model"])) == {
        ("slow", "attentive"), ("other", "attentive"), ("other", "slow"),
    }  # fmt: skip
    assert set(zip(seeds["kind"], seeds["setting"])) == {("replace", ""), ("shuffle", "ngram=2"), ("all", "")}
    assert len(seeds) == 3 * 4


def test_the_difference_has_the_interval_of_paired_samples(families):
    """By hand: the same draws of canaries for both models and both curves."""
    counts = [
        roc.resample_counts(models.N, 300, generator(0, f"bootstrap of {side}", 1))
        for side in ("members", "non-members")
    ]

    def samples(model):
        given = {(r.labels["kind"], r.labels["level"]): r for r in models.of_model(model, 1)}
        draws = {
            key: roc.bootstrap_auc(r.members["ratio"], r.non_members["ratio"], *counts) for key, r in given.items()
        }
        curve = np.stack([draws["exact", nu] for nu in COPIES], axis=-1)
        return isotonic(COPIES, curve, draws["replace", 5]).rho

    rows = families[(families["seed"] == 1) & (families["kind"] == "replace") & (families["level"] == 5)]
    row = rows[(rows["model"] == "slow") & (rows["other_model"] == "attentive")].iloc[0]
    difference = samples("slow") - samples("attentive")
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(difference, [0.025, 0.975]))
    assert row["p_value"] == pytest.approx(significance.bootstrap_p_value(difference))
    assert row["difference"] == pytest.approx(row["rho"] - row["other_rho"])


def test_means_are_over_seeds_and_over_perturbations(families):
    pair = families[(families["model"] == "slow") & (families["other_model"] == "attentive")]
    seeds, mean = pair[pair["seed"].notna()], pair[pair["seed"].isna()].set_index(["kind", "level"])
    single = seeds[seeds["kind"] != "all"]
    of_all = seeds[seeds["kind"] == "all"]
    np.testing.assert_allclose(of_all["difference"], single.groupby("seed")["difference"].mean())
    every = mean.loc["all"].iloc[0]
    assert every["difference"] == pytest.approx(of_all["difference"].mean())
    assert (every["seeds_low"], every["seeds_high"]) == pytest.approx(intervals.seeds_interval(of_all["difference"]))
    assert np.isnan(every["p_holm"])
    tested = mean.drop("all")
    np.testing.assert_allclose(tested["p_holm"], significance.holm(tested["p_value"]))


def test_a_model_that_keeps_half_is_told_apart_and_one_that_keeps_as_much_is_not(families):
    means = families[families["seed"].isna() & (families["kind"] == "all")].set_index(["model", "other_model"])
    assert means.loc[("slow", "attentive"), "high"] < 0
    assert means.loc[("other", "attentive"), "low"] < 0 < means.loc[("other", "attentive"), "high"]


def test_exposure_stands_beside_that_of_the_first_model(measured):
    found = tables.exposure_table(measured, TRAINED)
    assert set(found["other_model"]) == {"attentive"}
    means = found[found["seed"].isna()].set_index("model")
    for model, rate in list(TRAINED.items())[1:]:
        areas = {
            name: [o.auc for o in measured if o.model == name and o.kind == "exact" and o.level == 10 and not o.setting]
            for name in (model, "attentive")
        }
        row = means.loc[model]
        assert row["difference"] == pytest.approx(np.mean(areas[model]) - np.mean(areas["attentive"]))
        assert (row["learning_rate"], row["nu_max"], row["n_seeds"]) == (rate, 10, 3)


def test_seeds_that_one_model_lacks_are_left_out_of_the_comparison():
    some = [one for one in models.measured() if (one.model, one.seed) != ("slow", 3)]
    found = tables.families_table(rho_table.rows(some), TRAINED)
    counts = found[found["seed"].isna()].groupby(["model", "other_model"])["n_seeds"].unique()
    assert {key: list(value) for key, value in counts.items()} == {
        ("other", "attentive"): [3], ("other", "slow"): [2], ("slow", "attentive"): [2],
    }  # fmt: skip
