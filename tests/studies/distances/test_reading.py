"""Mean distances of perturbations."""

import numpy as np

from lib.perturbations.distances import MEASURES
from lib.studies.distances import reading


def test_undefined_distances_are_left_out_of_a_mean():
    found = reading.means_of({name: [1.0, np.nan, 3.0] for name in MEASURES} | {"jaccard_10": [np.nan] * 3})
    assert found["levenshtein"] == 2
    assert np.isnan(found["jaccard_10"])
