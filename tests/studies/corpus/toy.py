"""Targets of three buckets and their near-duplicates, few enough to count by hand."""

import numpy as np

from lib.studies.corpus import tables


def near(rows: list[tuple[int, int, int]]) -> tables.NearDuplicates:
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return tables.NearDuplicates(columns[0].astype("<u4"), columns[1].astype("<u2"), columns[2].astype("<u2"))


# (target, distance, longest common n-gram); targets 0 and 1 are of bucket 100, 2 of 1,000, 3 random.
HAMMING = [(0, 0, 100), (0, 0, 100), (0, 3, 60), (0, 9, 20), (1, 9, 50), (2, 0, 100)]
LEVENSHTEIN = [*HAMMING, (1, 4, 9), (2, 10, 49), (2, 10, 51)]


def data(**changes) -> tables.SlimpajamaData:
    values = {
        "bucket": np.array([100, 100, 1000, 0]), "count": np.array([95, 104, 1001, 1]), "length": 100,
        "max_distance": 10, "near": {"hamming": near(HAMMING), "levenshtein": near(LEVENSHTEIN)},
        "histograms": {"chunk-01": (np.array([2, 9]), np.array([40, 1])), "chunk-00": (np.array([2]), np.array([7]))},
        "exposure": {
            "exact": np.array([2, 0, 1, 0]), "near": np.array([2, 2, 2, 0]), "exposure": np.array([3.5, 1.5, 2.5, 0]),
            "low": np.array([3.0, 1, 2, 0]), "high": np.array([4.0, 2, 3, 0]),
        },
    }  # fmt: skip
    return tables.SlimpajamaData(**{**values, **changes})
