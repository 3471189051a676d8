"""The table of the extraction study: what models repeat of their canaries, by kind, setting and level.

One row for each model, seed, kind, level, setting, side and measure; with `seed` empty, means over seeds. Intervals of
one seed are over canaries, those of a mean are over seeds; they answer different questions and are never mixed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lib.base.seeds import generator
from lib.prefix.discoverable import PROBABILITIES
from lib.reporting.frames import frame
from lib.statistics import intervals, roc
from lib.statistics.proportions import wilson
from lib.studies.extraction import published

SIDES = ("members", "non_members")
EXTRACTABLE = {"extractable_100": 100, "extractable_10000": 10_000}  # measure -> samples
LIKELY = 0.5  # the probability that the suffix is among them
SHARES = ("exact", *EXTRACTABLE)  # of canaries: yes or no
MEANS = ("edit_similarity", "bleu", "word_bleu", "matched")
MEASURES = (*MEANS, *SHARES)
KEY = ("model", "seed", "kind", "level", "setting", "side", "measure")
COLUMNS = (*KEY, "n_canaries", "effective_copies", "value", "low", "high", "n_seeds", "std", *published.COLUMNS)
DRAWS = 1000


@dataclass(frozen=True)
class Extracted:
    """What one fine-tuned model repeats. labels: model, seed, kind, level, setting; sides: "members" and "non_members"
    -> the columns of extracted.h5, one row a canary; effective_copies: mean over canaries (see the stage inject);
    repeats: whether prompts, suffixes and duplicates are those of the published study."""

    labels: Mapping[str, Any]
    sides: Mapping[str, Mapping[str, np.ndarray]]
    effective_copies: float = float("nan")
    repeats: bool = False


def make(records: Iterable[Extracted]) -> dict[str, pd.DataFrame]:
    """The one table by its name, `extraction`."""
    return {"extraction": extraction_table(records)}


def extraction_table(records: Iterable[Extracted]) -> pd.DataFrame:
    """Every measure of every record, and means over seeds, in COLUMNS, sorted by KEY.

    low, high: for one seed the 95 % interval over canaries (Wilson's for shares, bootstrap for means); for a mean the t
    interval over seeds. std: over seeds, ddof 0. published_source, published_value: those of the published
    study (one seed), beside its measures of members where ours repeats it.
    """
    rows = [row for record in records for row in _rows(record)]
    return frame([*rows, *_means(rows)], COLUMNS, KEY, text=("published_source",))


def measured(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """MEASURES of each canary of one side: float64 (n,), in [0, 1].

    matched: share of the suffix before the first wrong token. extractable_n: whether the suffix is among n samples with
    probability LIKELY or more.
    """
    needed = columns["samples_needed"][:, PROBABILITIES.index(LIKELY)]
    found = {name: columns[name] for name in ("edit_similarity", "bleu", "word_bleu", "exact")}
    found["matched"] = columns["matched_tokens"] / columns["continuation"].shape[1]
    found |= {name: needed <= samples for name, samples in EXTRACTABLE.items()}
    return {name: np.asarray(found[name], dtype=np.float64) for name in MEASURES}


def _rows(record: Extracted) -> Iterator[dict[str, Any]]:
    for side in SIDES:
        for measure, values in measured(record.sides[side]).items():
            low, high = _interval(measure, values, record.labels["seed"])
            theirs = published.beside(record.labels, measure) if record.repeats and side == "members" else {}
            yield {
                **record.labels, "side": side, "measure": measure, "n_canaries": len(values),
                "effective_copies": record.effective_copies, "value": values.mean(), "low": low, "high": high,
                "n_seeds": 1, "std": np.nan, "published_source": "", **theirs,
            }  # fmt: skip


def _interval(measure: str, values: np.ndarray, seed: int) -> tuple[float, float]:
    if measure in SHARES:
        low, high = wilson(values.sum(), len(values))
        return float(low), float(high)
    counts = roc.resample_counts(len(values), DRAWS, generator(0, "bootstrap of extraction", seed))
    return intervals.interval(counts @ values / len(values))


def _means(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY if name != "seed"), []).append(row)
    for group in groups.values():
        values = [row["value"] for row in group]
        low, high = intervals.seeds_interval(values)
        yield {
            **group[0], "seed": None, "n_canaries": sum(row["n_canaries"] for row in group),
            "effective_copies": np.mean([row["effective_copies"] for row in group]), "value": np.mean(values),
            "low": low, "high": high, "n_seeds": len(group), "std": np.std(values),
        }  # fmt: skip
