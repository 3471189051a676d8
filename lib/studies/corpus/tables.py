"""The tables of the corpus study, from targets and their near-duplicates. Columns are fixed here.

A mean is over all targets of a bucket, including those without any near-duplicate. `mean` counts near-duplicates at
distance 1 and above; `mean_with_exact` also counts exact copies (distance 0, including the target itself). Bucket 0
holds the random targets.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.reporting.frames import frame
from lib.statistics import intervals, roc

HAMMING, LEVENSHTEIN = "hamming", "levenshtein"
METRICS = (HAMMING, LEVENSHTEIN)
SHORTEST_NGRAM, LONGEST_NGRAM = 10, 100
DRAWS = 1000
WHOLE = "all"  # stands for a chunk where groups of exact duplicates are of all chunks that were scanned

CUMULATIVE_COLUMNS = (
    "bucket", "metric", "distance", "mean", "standard_error", "mean_with_exact", "standard_error_with_exact",
    "n_targets", "scanned_fraction", "mean_extrapolated",
)  # fmt: skip
METRICS_COLUMNS = (
    "bucket", "distance", "hamming", "levenshtein", "ratio",
    "hamming_with_exact", "levenshtein_with_exact", "ratio_with_exact",
)  # fmt: skip
SURVIVAL_COLUMNS = ("bucket", "metric", "n", "share", "n_near_duplicates", "low", "high")
EXACT_COLUMNS = ("chunk", "count", "groups")
EXPOSURE = ("exact", "near", "exposure", "low", "high")  # of each target, see jobs/corpus/exposure.py
EXPOSURE_COLUMNS = ("bucket", "target", *EXPOSURE)
TARGETS_COLUMNS = (
    "bucket", "n_targets", "min_count", "mean_count", "max_count", "n_hamming", "n_levenshtein", "without_levenshtein",
)  # fmt: skip


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates by one metric, arrays of equal length: row of the target, distance and, if known, longest common
    n-gram."""

    target: np.ndarray
    distance: np.ndarray
    longest_common: np.ndarray | None = None


@dataclass(frozen=True)
class SlimpajamaData:
    """Everything that tables and figures are made of.

    bucket, count: (targets,), the bucket (0 for random targets) and the exact occurrences in the corpus. length: tokens
    of a target. near: metric -> near-duplicates up to max_distance. scanned_fraction: share of the corpus that was
    scanned for them. histograms: name of a chunk, or WHOLE -> (sizes of its groups of exact duplicates, how many
    groups). exposure: EXPOSURE -> (targets,), or nothing.
    """

    bucket: np.ndarray
    count: np.ndarray
    length: int
    max_distance: int
    near: Mapping[str, NearDuplicates]
    scanned_fraction: float = 1.0
    histograms: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    exposure: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise TesseraError for near-duplicates of unknown targets, or columns of different lengths."""
        if set(self.near) != set(METRICS):
            raise TesseraError(f"near-duplicates by {sorted(self.near)}; they must be by {list(METRICS)}")
        if not 0 < self.scanned_fraction <= 1:
            raise TesseraError(f"scanned_fraction is {self.scanned_fraction}; it must be above 0 and at most 1")
        for metric, found in self.near.items():
            _check(found, metric, len(self.bucket), self.max_distance)

    @property
    def buckets(self) -> list[int]:
        """The buckets that have targets, ascending, the random one (0) last."""
        found = sorted(set(self.bucket.tolist()))
        return [bucket for bucket in found if bucket] + [bucket for bucket in found if not bucket]


def make(data: SlimpajamaData) -> dict[str, pd.DataFrame]:
    """All tables by name; `survival`, `exposure` and `exact` only with the data they need."""
    cumulative = cumulative_table(data)
    found = {"cumulative": cumulative, "metrics": metrics_table(cumulative), "targets": targets_table(data)}
    if all(near.longest_common is not None for near in data.near.values()):
        found["survival"] = survival_table(data)
    if data.exposure:
        found["exposure"] = exposure_table(data)
    if data.histograms:
        found["exact"] = exact_table(data.histograms)
    return found


def cumulative_table(data: SlimpajamaData) -> pd.DataFrame:
    """Near-duplicates at distance <= d, means over the targets of each bucket, in CUMULATIVE_COLUMNS.

    standard_error: sample standard deviation (ddof 1) over the root of n; empty for one target. Only
    mean_extrapolated = mean / scanned_fraction covers what was not scanned.
    """
    return frame(_cumulative_rows(data), CUMULATIVE_COLUMNS)


def metrics_table(cumulative: pd.DataFrame) -> pd.DataFrame:
    """Hamming against Levenshtein: the means of `cumulative` side by side, and Levenshtein over Hamming.

    The ratio is empty where the mean by Hamming distance is 0.
    """
    keys = ["bucket", "distance"]
    sides = [cumulative[cumulative["metric"] == metric].reset_index(drop=True) for metric in METRICS]
    table = sides[0][keys].copy()
    for suffix in ("", "_with_exact"):
        for metric, side in zip(METRICS, sides):
            table[metric + suffix] = side[f"mean{suffix}"]
        ratio = table[LEVENSHTEIN + suffix] / table[HAMMING + suffix]
        table[f"ratio{suffix}"] = ratio.where(table[HAMMING + suffix] > 0)
    return table[list(METRICS_COLUMNS)]


def survival_table(data: SlimpajamaData) -> pd.DataFrame:
    """Share of near-duplicates (distance 1 and above, pooled over a bucket) without a common n-gram, SURVIVAL_COLUMNS.

    n runs from 10 to 100, or to the length of a target. Empty where a bucket has no near-duplicates. low, high: 95 %
    bootstrap over targets, each drawn with all of its near-duplicates, which are alike; empty where that cannot vary:
    for one target with near-duplicates, or where all survive or none does.
    """
    return frame(_survival_rows(data), SURVIVAL_COLUMNS)


def exact_table(histograms: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """How many groups of exact duplicates have how many members, by chunk or for all (WHOLE), in EXACT_COLUMNS."""
    rows = (
        {"chunk": chunk, "count": int(count), "groups": int(groups)}
        for chunk, histogram in sorted(histograms.items())
        for count, groups in zip(*histogram)
    )
    return frame(rows, EXACT_COLUMNS)


def exposure_table(data: SlimpajamaData) -> pd.DataFrame:
    """Exact copies and effective exposure of every target, in EXPOSURE_COLUMNS, by bucket, the random one last.

    exact: the target itself is one of them. exposure: exact copies, and near-duplicates (distance 1 and above) as rho
    of their distance; low, high: with the ends of the interval of rho.
    """
    rows = (
        {"bucket": bucket, "target": target, **{name: data.exposure[name][target] for name in EXPOSURE}}
        for bucket in data.buckets
        for target in np.flatnonzero(data.bucket == bucket).tolist()
    )
    return frame(rows, EXPOSURE_COLUMNS)


def targets_table(data: SlimpajamaData) -> pd.DataFrame:
    """The targets of every bucket: how many, their exact counts, near-duplicates (distance 1 and above) found."""
    return frame((_target_row(data, bucket) for bucket in data.buckets), TARGETS_COLUMNS)


def per_target(data: SlimpajamaData, metric: str) -> np.ndarray:
    """How many near-duplicates each target has at distance <= d, for d = 0 .. max_distance: int64 (targets, d)."""
    found = data.near[metric]
    counts = np.zeros((len(data.bucket), data.max_distance + 1), np.int64)
    np.add.at(counts, (found.target.astype(np.int64), found.distance.astype(np.int64)), 1)
    return counts.cumsum(axis=1)


def by_longest(data: SlimpajamaData, metric: str) -> np.ndarray:
    """How many near-duplicates (distance 1 and above) of each target share no run of more than n tokens with it, for
    n = 0 .. the length of a target or the longest run: int64 (targets, n). The last column has all of them."""
    found = data.near[metric]
    assert found.longest_common is not None
    apart = found.distance > 0
    target, longest = found.target[apart].astype(np.int64), found.longest_common[apart].astype(np.int64)
    counts = np.zeros((len(data.bucket), max(data.length, longest.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (target, longest), 1)
    return counts.cumsum(axis=1)


def _cumulative_rows(data: SlimpajamaData) -> Iterator[dict[str, Any]]:
    counts = {metric: per_target(data, metric) for metric in METRICS}
    for bucket in data.buckets:
        mine = data.bucket == bucket
        for metric in METRICS:
            for distance, column in enumerate(counts[metric][mine].T):
                yield {
                    "bucket": bucket, "metric": metric, "distance": distance, "n_targets": len(column),
                    **_mean(column - counts[metric][mine, 0], ""), **_mean(column, "_with_exact"),
                    "scanned_fraction": data.scanned_fraction,
                    "mean_extrapolated": float(np.mean(column - counts[metric][mine, 0])) / data.scanned_fraction,
                }  # fmt: skip


def _mean(values: np.ndarray, suffix: str) -> dict[str, float]:
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {f"mean{suffix}": float(np.mean(values)), f"standard_error{suffix}": error}


def _survival_rows(data: SlimpajamaData) -> Iterator[dict[str, Any]]:
    lengths = np.arange(min(SHORTEST_NGRAM, data.length), min(LONGEST_NGRAM, data.length) + 1)
    for bucket in data.buckets:
        mine = data.bucket == bucket
        drawn = roc.resample_counts(int(mine.sum()), DRAWS, generator(0, "bootstrap of survival", bucket))
        for metric in METRICS:
            counts = by_longest(data, metric)[mine]
            for n, surviving in zip(lengths.tolist(), counts[:, lengths - 1].T):
                share, low, high = _share(surviving, counts[:, -1], drawn)
                found = {"share": share, "n_near_duplicates": int(counts[:, -1].sum()), "low": low, "high": high}
                yield {"bucket": bucket, "metric": metric, "n": n, **found}


def _share(part: np.ndarray, whole: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float]:
    """The share of `part` in `whole`, both (targets,), and its interval over targets; drawn: (draws, targets)."""
    if not whole.any():
        return np.nan, np.nan, np.nan
    share = float(part.sum() / whole.sum())
    if np.count_nonzero(whole) == 1 or share in (0, 1):
        return share, np.nan, np.nan
    parts, wholes = drawn @ part, drawn @ whole
    return share, *intervals.interval(parts[wholes > 0] / wholes[wholes > 0])


def _target_row(data: SlimpajamaData, bucket: int) -> dict[str, Any]:
    mine = data.bucket == bucket
    found = {metric: per_target(data, metric)[mine] for metric in METRICS}
    near = {metric: counts[:, -1] - counts[:, 0] for metric, counts in found.items()}
    counts = data.count[mine]
    return {
        "bucket": bucket, "n_targets": int(mine.sum()), "min_count": int(counts.min()),
        "mean_count": float(np.mean(counts)), "max_count": int(counts.max()),
        **{f"n_{metric}": int(n.sum()) for metric, n in near.items()},
        "without_levenshtein": int((near[LEVENSHTEIN] == 0).sum()),
    }  # fmt: skip


def _check(found: NearDuplicates, metric: str, n_targets: int, max_distance: int) -> None:
    columns = [found.target, found.distance, *([] if found.longest_common is None else [found.longest_common])]
    if len({len(column) for column in columns}) > 1:
        raise TesseraError(f"near-duplicates by {metric}: columns of {[len(c) for c in columns]} rows; run their stage")
    if len(found.target) and (int(found.target.max()) >= n_targets or int(found.distance.max()) > max_distance):
        raise TesseraError(
            f"near-duplicates by {metric}: target {found.target.max()} of {n_targets}, distance {found.distance.max()} "
            f"of at most {max_distance}; they were made from other targets"
        )
