"""Scores of three made-up models on the same canaries."""

import numpy as np

from lib.studies.mosaic import measurements
from lib.studies.mosaic.measurements import Measurement, Record

N = 60
COPIES = (1, 4, 10)
TRAINED = {"attentive": 5e-4, "slow": 1e-3, "other": 2e-3}
# What a copy adds to a member's score, and what a fuzzy duplicate adds beside it: `slow` keeps half as much of it.
KEEPS = {"attentive": 0.8, "slow": 0.4, "other": 0.8}
RATES = (5e-4, 1e-3, 2e-3)


def record(model: str, kind: str, level: float, strength: float, setting: str = "", seed: int = 1) -> Record:
    """Ratio scores, whose canaries are those of the seed; a model adds noise of its own."""
    canaries, others = np.random.default_rng(seed).normal(size=(2, N))
    noise = 0.1 * np.random.default_rng([seed, len(model), int(10 * level), len(kind)]).normal(size=N)
    labels = {"model": model, "seed": seed, "kind": kind, "level": level, "setting": setting}
    return Record(labels, {"ratio": canaries + strength + noise}, {"ratio": others}, 10.0, N, 10.0)


def of_model(model: str, seed: int) -> list[Record]:
    """An exact curve and three perturbations."""
    exact = [record(model, "exact", nu, 0.15 * nu, seed=seed) for nu in COPIES]
    worth = {("replace", 5, ""): 1.0, ("replace", 50, ""): 0.3, ("shuffle", 0.5, "ngram=2"): 0.5}
    fuzzy = [
        record(model, kind, level, 0.15 * (1 + 9 * KEEPS[model] * share), setting, seed)
        for (kind, level, setting), share in worth.items()
    ]
    return exact + fuzzy


def tried(model: str) -> list[Record]:
    """Ten copies at each rate of RATES, seed 1."""
    return [record(model, "exact", 10, 1500 * rate, f"learning_rate={rate}") for rate in RATES]


def records(seeds: tuple[int, ...] = (1, 2, 3)) -> list[Record]:
    """All models, and the tried rates of `slow`."""
    return [*(one for model in TRAINED for seed in seeds for one in of_model(model, seed)), *tried("slow")]


def measured(seeds: tuple[int, ...] = (1, 2, 3)) -> list[Measurement]:
    """The AUCs of `records`."""
    return measurements.measure(records(seeds), seed=0, n_bootstrap=300)
