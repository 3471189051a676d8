"""AUCs and bootstrap samples of every score: shared draws, and records that are refused."""

import numpy as np
import pytest

from lib.base.errors import TesseraError
from lib.reporting import page
from lib.studies.mosaic import measurements
from lib.studies.mosaic.measurements import Record
from tests.studies.mosaic.small_sweep import record


def test_settings_over_the_same_canaries_are_resampled_together():
    first = record(level=1, strength=0.5)
    twin = Record({**first.labels, "kind": "replace"}, first.members, first.non_members)
    one, other = (measurements.measure([r], seed=3, n_bootstrap=50)[0].samples for r in (first, twin))
    np.testing.assert_array_equal(one, other)
    elsewhere = Record({**first.labels, "seed": 2}, first.members, first.non_members)
    assert (measurements.measure([elsewhere], seed=3, n_bootstrap=50)[0].samples != one).any()


def test_bad_records_are_named():
    with pytest.raises(TesseraError, match=r"two records for .*'level': 1"):
        measurements.measure([record(), record()], seed=0, n_bootstrap=5)
    bad = record()
    bad.members["ratio"][3] = np.nan
    with pytest.raises(TesseraError, match=r"'seed': 1.*score 'ratio': .*row 3 is NaN"):
        measurements.measure([bad], seed=0, n_bootstrap=5)
    empty = Record(bad.labels, {"loss": np.zeros(0)}, {"loss": np.zeros(3)})
    with pytest.raises(TesseraError, match="score 'loss'"):
        measurements.measure([empty], seed=0, n_bootstrap=5)
    lopsided = Record(bad.labels, {"loss": np.zeros(3)}, {})
    with pytest.raises(TesseraError, match="different scores"):
        measurements.measure([lopsided], seed=0, n_bootstrap=5)


def test_reports_say_how_many_draws_there_are():
    (measured,) = measurements.measure([record(names=("loss",))], seed=1)
    assert f"of {len(measured.samples):,} draws" in page.METHODS["Intervals"]
