"""The distances study as its stage left it on disk, read into means."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.perturbations.distances import MEASURES
from lib.studies import collect


def read(distances: Path) -> dict[str, float]:
    """The mean of each measure over all variations of all canaries in distances.h5. Checks every checksum."""
    return means_of(collect.verified_columns(distances, *MEASURES))


def means_of(columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each measure over the variations for which it is defined; NaN if there are none."""
    found = {}
    for name in MEASURES:
        defined = np.asarray(columns[name])[~np.isnan(columns[name])]
        found[name] = float(defined.mean()) if len(defined) else float("nan")
    return found
