"""Scores of a small sweep, made up: exact copies and replacements of two seeds, and settings of their own."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lib.studies.mosaic.measurements import Record

COPIES = (1, 3, 5, 7, 10)
REPLACED = (1, 10, 50)
N = 40


def scores(strength: float, stream: np.random.Generator) -> np.ndarray:
    return np.round(stream.normal(strength, 1, N), 2)


def record(
    model="m", seed=1, kind="exact", level=1, strength=0.0, names=("loss", "ratio", "ratio_paper"), setting="", **more
):
    stream = np.random.default_rng([seed, int(100 * level), len(kind), *setting.encode()])
    members = {name: scores(strength, stream) for name in names}
    return Record(
        {"model": model, "seed": seed, "kind": kind, "level": level, **({"setting": setting} if setting else {})},
        members,
        {name: scores(0, stream) for name in names},
        effective_copies=level * 0.9,
        **more,
    )


def twice(records: Iterable[Record]) -> list[Record]:
    """The records with a score beside `ratio` that ranks all canaries as it does."""

    def with_equal(side):
        return {**side, "ratio_paper": np.exp(side["ratio"])}

    return [replace(one, members=with_equal(one.members), non_members=with_equal(one.non_members)) for one in records]


def sweep(models=("m",), seeds=(1, 2)):
    pairs = list(itertools.product(models, seeds))
    exact = [record(m, s, "exact", nu, 0.25 * nu) for m, s in pairs for nu in COPIES]
    fuzzy = [record(m, s, "replace", r, 2.0 - 0.03 * r, nominal_copies=10) for m, s in pairs for r in REPLACED]
    return exact + fuzzy


def ablated(seeds=(1, 2)):
    """A learning rate with exact copies of its own, and shuffles in two settings, which have none."""
    pairs = [(s, nu) for s in seeds for nu in (1, 4)]
    own = [record("m", s, "exact", nu, 0.6 * nu, setting="learning_rate=0.1") for s, nu in pairs]
    own += [record("m", s, "replace", 10, 1.2, setting="learning_rate=0.1", nominal_copies=10) for s in seeds]
    shuffled = [
        record("m", s, "shuffle", tau, 1.5 - tau, setting=setting, nominal_copies=10)
        for s in seeds
        for tau in (0.1, 0.25)
        for setting in ("ngram=2", "ngram=10")
    ]
    return [*sweep(seeds=seeds), *own, *shuffled]
