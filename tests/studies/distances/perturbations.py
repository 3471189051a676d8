"""Scores and mean distances of made-up perturbations of two seeds."""

import numpy as np

from lib.perturbations.distances import MEASURES
from lib.studies.mosaic import measurements, published
from lib.studies.mosaic.measurements import Record

LEVELS = {"replace": (1, 5, 25, 50), "shuffle": (0.1, 0.5)}
SETTING = {"replace": "", "shuffle": "ngram=5"}


def record(kind, level, strength, seed):
    stream = np.random.default_rng(seed)
    canaries, others = stream.normal(size=(2, 50))
    labels = {"model": "m", "seed": seed, "kind": kind, "level": level, "setting": SETTING.get(kind, "")}
    return Record(labels, {"ratio": canaries + strength}, {"ratio": others}, nominal_copies=10)


def records():
    found = [record("exact", nu, 0.2 * nu, seed) for nu in (1, 4, 10) for seed in (1, 2)]
    strengths = {"replace": lambda r: 1.8 - 0.025 * r, "shuffle": lambda tau: 1.5 - tau}
    return found + [
        record(kind, level, strengths[kind](level), seed)
        for kind, levels in LEVELS.items()
        for level in levels
        for seed in (1, 2)
    ]


def measured():
    return measurements.measure(records(), seed=1, n_bootstrap=20)


def means():
    """Levenshtein falls with rho over replacements; jaccard_10 is undefined for shuffles, token Jaccard always 0."""
    found = {}
    for kind, levels in LEVELS.items():
        for level in levels:
            for seed in (1, 2):
                values = dict.fromkeys(MEASURES, level * 2.0 + seed) | {"token_jaccard": 0.0}
                values["jaccard_10"] = float("nan") if kind == "shuffle" else values["levenshtein"]
                found["m", seed, kind, level, SETTING[kind]] = values
    return found


def theirs():
    """The published curve of replacements beside model m."""
    return published.references([("m", "replace", "")], published.STAND_IN)
