"""The AUC of every score of every fine-tuned model, from the scores of its canaries.

`Record`: the scores of one fine-tuned model. `Measurement`: the AUC of one of its scores, with bootstrap samples.
`auc_table` lays the measurements out; `rho_table` computes rho from them.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.statistics import roc
from lib.studies.mosaic.words import EXACT, split_score

BOOTSTRAP_DRAWS = 1000
KEY = ("model", "seed", "attack", "variant", "kind", "level", "setting")  # of a measurement
RECORD_KEY = ("model", "seed", "kind", "level", "setting")


@dataclass(frozen=True)
class Record:
    """The scores of one fine-tuned model.

    labels: model (str), seed (int), kind ("exact", "replace", ..., or "none" for the bag-of-words baseline, which has
    no model), level (a number: nu, R, tau, ...) and, unless it is the default "", setting (str: what else
    distinguishes it from other records of the kind, such as `ngram=2`). members, non_members: score name -> (n,) and
    (m,) floats, higher = member; a name that ends in `_paper` is the published variant. effective_copies: copies of a
    canary that stand whole in one training sequence; nominal_copies: copies that were injected (the level of exact
    records); both are means over canaries.
    """

    labels: Mapping[str, Any]
    members: Mapping[str, np.ndarray]
    non_members: Mapping[str, np.ndarray]
    effective_copies: float = float("nan")
    n_members: int | None = None
    nominal_copies: float = float("nan")


@dataclass(frozen=True)
class Measurement:
    """The AUC of one score of one record. samples: of its bootstrap, (draws,); None where only the AUC is known."""

    model: str
    seed: int
    attack: str
    variant: str
    kind: str
    level: float
    auc: float
    setting: str = ""
    samples: np.ndarray | None = None
    tpr: tuple[float, ...] = (float("nan"),) * len(roc.FPR_TARGETS)
    n_members: int | None = None
    nominal_copies: float = float("nan")
    effective_copies: float = float("nan")
    key: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", tuple(getattr(self, name) for name in KEY))


def measure(records: Iterable[Record], seed: int, n_bootstrap: int = BOOTSTRAP_DRAWS) -> list[Measurement]:
    """Every score of every record, sorted by KEY.

    The bootstrap counts depend on (seed, the record's seed) alone: settings over the same canaries are resampled
    together, so that a difference, or rho, has the interval of paired samples.
    Raises TesseraError naming the record and the score for missing, empty or NaN scores, or for two equal records.
    """
    found = [measured for record in records for measured in _measure_record(record, seed, n_bootstrap)]
    found.sort(key=lambda measured: measured.key)
    for one, other in itertools.pairwise(found):
        if one.key == other.key:
            raise TesseraError(f"two records for {dict(zip(KEY, one.key))}; give each setting a label of its own")
    return found


def _measure_record(record: Record, seed: int, n_bootstrap: int) -> Iterator[Measurement]:
    labels = labels_of(record)
    if set(record.members) != set(record.non_members):
        raise TesseraError(f"{labels}: members and non-members have different scores; score both again")
    counts: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    for score in record.members:
        positive, negative = np.asarray(record.members[score]), np.asarray(record.non_members[score])
        size = (len(positive), len(negative))
        if size not in counts:
            counts[size] = _bootstrap_counts(seed, labels["seed"], size, n_bootstrap)
        try:
            yield _measurement(record, labels, score, positive, negative, counts[size])
        except ValueError as error:
            raise TesseraError(f"{labels}, score '{score}': {error}") from error


def labels_of(record: Record) -> dict[str, Any]:
    """The labels in RECORD_KEY, the default setting included."""
    return {"setting": "", **{name: record.labels[name] for name in RECORD_KEY if name in record.labels}}


def _bootstrap_counts(seed: int, record_seed: int, size: tuple[int, int], draws: int) -> tuple[np.ndarray, np.ndarray]:
    sides = zip(size, ("bootstrap of members", "bootstrap of non-members"))
    members, others = (
        roc.resample_counts(n, draws, generator(seed, purpose, record_seed)) if n else np.zeros((draws, 0))
        for n, purpose in sides
    )
    return members, others


def _measurement(
    record: Record, labels: Mapping[str, Any], score: str, positive: np.ndarray, negative: np.ndarray,
    counts: tuple[np.ndarray, np.ndarray],
) -> Measurement:  # fmt: skip
    attack, variant = split_score(score)
    return Measurement(
        **labels,
        attack=attack,
        variant=variant,
        auc=roc.auc(positive, negative),
        samples=roc.bootstrap_auc(positive, negative, *counts),
        tpr=tuple(roc.tpr_at_fpr(positive, negative, target) for target in roc.FPR_TARGETS),
        n_members=len(positive) if record.n_members is None else record.n_members,
        nominal_copies=float(labels["level"]) if labels["kind"] == EXACT else record.nominal_copies,
        effective_copies=record.effective_copies,
    )
