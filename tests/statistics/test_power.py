"""Power: standard errors against simulated AUCs, detectable differences against simulated studies."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from lib.statistics import power, roc
from lib.statistics.power import Typical
from lib.studies.mosaic import published

LINEAR = Typical(np.arange(1.0, 11), np.linspace(0.55, 0.9, 10), 0.0)


@pytest.mark.parametrize("auc", [0.6, 0.75, 0.9])
def test_the_error_of_an_auc_is_near_that_of_simulated_canaries(auc):
    random, shift = np.random.default_rng(1), np.sqrt(2) * norm.ppf(auc)
    simulated = [roc.auc(random.normal(shift, 1, 60), random.normal(0, 1, 40)) for _ in range(1500)]
    assert power.auc_error(auc, 60, 40) == pytest.approx(np.std(simulated), rel=0.1)


def test_the_error_of_an_auc_known_answers():
    assert power.auc_error(1.0, 10, 10) == 0
    assert power.auc_error(0.5, 1, 1) == 0.5
    with pytest.raises(ValueError, match="between 0 and 1"):
        power.auc_error(1.1, 10, 10)


@pytest.mark.parametrize("same", [True, False])
def test_studies_find_the_detectable_difference_four_times_out_of_five(same):
    """Two settings about rho = 0.5 that lie apart by what is detectable; errors share r of their variance within
    one set of canaries. Settings on other canaries have their own curve each, which is wrong by such an error too."""
    random, seeds, r, studies = np.random.default_rng(2), 3, 0.8, 4000
    found = power.detectable(80, 80, seeds, Typical(LINEAR.copies, LINEAR.auc, r))[1]
    difference = found.same_canaries if same else found.other_canaries
    rise = 0.35  # of the whole curve

    shared = random.normal(size=(studies, seeds)) * np.sqrt(r)
    own = random.normal(size=(4, studies, seeds)) * np.sqrt(1 - r)
    first, second, curve = (found.auc_error * (shared + part) for part in own[:3])
    if same:
        gaps = (first - second) / rise
    else:
        apart = random.normal(size=(studies, seeds)) * np.sqrt(r)
        second, other = found.auc_error * (apart + own[1]), found.auc_error * (apart + own[3])
        gaps = ((first - curve) - (second - other)) / rise
    estimates = difference + gaps.mean(axis=1)
    threshold = 1.96 * gaps.std() / np.sqrt(seeds)
    assert np.mean(np.abs(estimates) > threshold) == pytest.approx(0.8, abs=0.03)


def test_more_canaries_and_seeds_show_less_and_a_flat_curve_nothing():
    few, many, seeded = (power.detectable(*size, LINEAR)[1] for size in ((50, 50, 1), (200, 200, 1), (50, 50, 4)))
    assert few.same_canaries == pytest.approx(2 * many.same_canaries, rel=0.02)
    assert few.same_canaries == pytest.approx(2 * seeded.same_canaries)
    assert few.other_canaries == pytest.approx(np.sqrt(2) * few.same_canaries)
    flat = Typical(LINEAR.copies, np.full(10, 0.7), 0.5)
    assert power.detectable(50, 50, 1, flat)[0].same_canaries == np.inf
    with pytest.raises(ValueError, match="each must be at least 1"):
        power.detectable(50, 0, 1, LINEAR)


def test_the_correlation_is_the_mean_over_pairs_of_settings():
    """AUCs of 4 settings that share three quarters of their variance over 2 models and 400 seeds."""
    random = np.random.default_rng(3)
    rows = []
    for model in ("a", "b"):
        common = random.normal(size=(400, 1)) * np.sqrt(0.75)
        values = 0.7 + 0.02 * (common + random.normal(size=(400, 4)) * 0.5)
        for seed, line in enumerate(values):
            rows += [(model, seed, "ratio", "replacements", level, auc) for level, auc in enumerate(line)]
            rows += [(model, seed, "ratio", "repetitions", nu, 0.5 + 0.04 * nu) for nu in (1, 5, 10)]
    table = pd.DataFrame(rows, columns=["model", "seed", "attack", "variable", "value", "auc"])
    found = power.typical(table, [1, 4, 10])
    assert found.correlation == pytest.approx(0.75, abs=0.03)
    np.testing.assert_allclose(found.auc, [0.54, 0.66, 0.9])
    with pytest.raises(ValueError, match="nu = 1"):
        power.typical(table, [2, 4])


def test_the_published_study_could_show_what_it_reports():
    """100 canaries, 5 seeds: neighbouring R differ by 0.1 in the published rho, which is more than is detectable."""
    found = power.typical(pd.read_csv(published.AUCS), range(1, 11))
    assert 0.6 < found.correlation < 0.95
    middle = power.detectable(100, 100, 5, found)[1]
    assert 0.02 < middle.same_canaries < 0.1
