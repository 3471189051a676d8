import numpy as np
import pytest

from lib.statistics import roc
from lib.studies.mosaic import bag_of_words, measurements


def texts(stream, low, high, n=40):
    return [stream.integers(low, high, stream.integers(20, 40)) for _ in range(n)]


def test_sets_that_differ_are_told_apart():
    stream = np.random.default_rng(0)
    scores = bag_of_words.cross_validated_scores(texts(stream, 0, 60), texts(stream, 30, 90), seed=1)
    assert roc.auc(*scores) > 0.95


def test_sets_that_do_not_differ_are_not():
    """Scores are out of fold: a fit that saw its own test texts would reach an AUC of 1 here."""
    aucs = []
    for trial in range(8):
        stream = np.random.default_rng(trial)
        scores = bag_of_words.cross_validated_scores(texts(stream, 0, 500), texts(stream, 0, 500), seed=trial)
        aucs.append(roc.auc(*scores))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.08)


def test_the_same_seed_gives_the_same_scores():
    stream = np.random.default_rng(3)
    sides = texts(stream, 0, 50), texts(stream, 0, 50)
    one, other = (bag_of_words.cross_validated_scores(*sides, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert len(one[0]) == len(one[1]) == 40


def test_too_few_canaries_are_refused():
    with pytest.raises(ValueError, match="5 folds"):
        bag_of_words.cross_validated_scores([[1]] * 4, [[2]] * 9, seed=0)


def test_the_record_of_the_baseline(caplog):
    stream = np.random.default_rng(0)
    sides = texts(stream, 0, 60), texts(stream, 30, 90)
    (measured,) = measurements.measure([bag_of_words.record("m", 1, *sides)], seed=0, n_bootstrap=50)
    assert measured.auc == roc.auc(*bag_of_words.cross_validated_scores(*sides, seed=1))
    assert (measured.attack, measured.kind, measured.level) == ("bag_of_words", "none", 0)
    assert bag_of_words.record("m", 1, [[1]] * 3, [[2]] * 3) is None
    assert "needs 5 canaries" in caplog.text
