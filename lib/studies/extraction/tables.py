"""The table of the extraction study: what models repeat of their canaries, by kind, setting and level.

One row for each model, seed, kind, level, setting, side and measure; with `seed` empty, means over seeds. `low` and
`high` are over canaries, in means as well; the interval over seeds has columns of its own.
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
from lib.studies.mosaic import paired
from lib.studies.mosaic.auc_table import mean_samples

SIDES = ("members", "non_members")
EXTRACTABLE = {"extractable_100": 100, "extractable_10000": 10_000}  # measure -> samples
LIKELY = 0.5  # the probability that the suffix is among them
SHARES = ("exact", *EXTRACTABLE)  # of canaries: yes or no
MEANS = ("edit_similarity", "bleu", "word_bleu", "matched")
MEASURES = (*MEANS, *SHARES)
KEY = ("model", "seed", "kind", "level", "setting", "side", "measure")
VALUE = ("value", "low", "high", "n_seeds", "std", "seeds_low", "seeds_high")
COLUMNS = (*KEY, "n_canaries", "effective_copies", *VALUE, *published.COLUMNS)
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

    low, high: 95 % over canaries. Of shares Wilson's, of all seeds' canaries in a mean. Of means the bootstrap; of a
    mean over seeds, of the mean of the seeds' samples, as seeds have canaries of their own. std: over seeds, ddof 0;
    seeds_low, seeds_high: t interval of the mean over two or more seeds. published_source, published_value: those of
    the published study (one seed), beside its measures of members where ours repeats it.
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
            samples = _samples(values, record.labels["seed"]) if measure in MEANS else None
            low, high = _interval(values.mean(), len(values), samples)
            theirs = published.beside(record.labels, measure) if record.repeats and side == "members" else {}
            yield {
                **record.labels, "side": side, "measure": measure, "n_canaries": len(values), "samples": samples,
                "effective_copies": record.effective_copies, "value": values.mean(), "low": low, "high": high,
                "n_seeds": 1, "std": np.nan, "published_source": "", **theirs,
            }  # fmt: skip


def _samples(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of bootstrap samples of the canaries of one seed: (DRAWS,)."""
    counts = roc.resample_counts(len(values), DRAWS, generator(0, "bootstrap of extraction", seed))
    return counts @ values / len(values)


def _interval(value: float, n: int, samples: np.ndarray | None) -> tuple[float, float]:
    """95 % over n canaries: of the samples of a mean, or Wilson's of a share, which has none."""
    if samples is not None:
        return intervals.interval(samples)
    low, high = wilson(value * n, n)
    return float(low), float(high)


def _means(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for group in paired.grouped(rows, [name for name in KEY if name != "seed"]).values():
        values, n = [row["value"] for row in group], sum(row["n_canaries"] for row in group)
        low, high = _interval(np.mean(values), n, mean_samples(group, "samples"))
        seeds_low, seeds_high = intervals.seeds_interval(values)
        yield {
            **group[0], "seed": None, "n_canaries": n,
            "effective_copies": np.mean([row["effective_copies"] for row in group]), "value": np.mean(values),
            "low": low, "high": high, "n_seeds": len(group), "std": np.std(values),
            "seeds_low": seeds_low, "seeds_high": seeds_high,
        }  # fmt: skip
