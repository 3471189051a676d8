import numpy as np
import pytest
import scipy.stats
from scipy.stats import norm

from lib.statistics import intervals, roc


def test_bootstrap_interval_covers_the_true_auc():
    truth = norm.cdf(0.5 / np.sqrt(2))
    covered = 0
    for trial in range(200):
        random = np.random.default_rng(trial)
        counts = [roc.resample_counts(60, 300, random) for _ in range(2)]
        samples = roc.bootstrap_auc(random.normal(0.5, 1, 60), random.normal(0, 1, 60), *counts)
        low, high = intervals.interval(samples)
        covered += low <= truth <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_interval_over_seeds_is_that_of_scipy_and_covers():
    random = np.random.default_rng(3)
    values = random.normal(0.5, 0.1, 5)
    expected = scipy.stats.t.interval(0.95, 4, values.mean(), scipy.stats.sem(values))
    np.testing.assert_allclose(intervals.seeds_interval(values), expected)
    found = [intervals.seeds_interval(random.normal(size=4)) for _ in range(1000)]
    assert np.mean([low <= 0 <= high for low, high in found]) == pytest.approx(0.95, abs=0.02)
    assert np.isnan(intervals.seeds_interval([0.3])).all()
