"""Differences of two settings over the same bootstrap draws: of one seed, and their means over seeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lib.statistics import intervals, significance

Row = Mapping[str, Any]


def grouped_by(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """The items by their key, in the order of their first ones."""
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def grouped(rows: Iterable[Row], names: Sequence[str]) -> dict[tuple[Any, ...], list[Any]]:
    """The rows by their values of `names`, in the order of their first ones."""
    return grouped_by(rows, lambda row: tuple(row[name] for name in names))


def difference(one: np.ndarray | None, other: np.ndarray | None) -> dict[str, Any]:
    """The columns low, high, p_value over canaries, and `samples`, from bootstrap samples (draws,) of either side."""
    return _over_canaries(None if one is None or other is None else one - other)


def means(rows: Sequence[Row], key: Sequence[str], values: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Means of `values` over seeds, a row for each `key` apart from `seed`, which is empty in it.

    Each row has `samples` (see `difference`) and the value `difference`; over two or more seeds it also gets an
    interval over seeds. A mean is flagged if one of its rows is.
    """
    for group in grouped(rows, [name for name in key if name != "seed"]).values():
        samples = [row["samples"] for row in group]
        mean = None if any(sample is None for sample in samples) else np.mean(samples, axis=0)
        low, high = intervals.seeds_interval([row["difference"] for row in group])
        found = {name: float(np.mean([row[name] for row in group])) for name in values}
        over_seeds = {"seed": None, "n_seeds": len(group), "seeds_low": low, "seeds_high": high}
        over_seeds["flagged"] = any(row.get("flagged") for row in group)
        yield {**group[0], **found, **over_seeds, **_over_canaries(mean)}


def correct(rows: Iterable[dict[str, Any]], family: Sequence[str]) -> None:
    """Add p_holm to the rows that have a p_value: corrected within the rows that share their values of `family`."""
    for tested in grouped((row for row in rows if not np.isnan(row["p_value"])), family).values():
        for row, corrected in zip(tested, significance.holm([row["p_value"] for row in tested])):
            row["p_holm"] = float(corrected)


def _over_canaries(samples: np.ndarray | None) -> dict[str, Any]:
    if samples is None:
        return {"samples": None, "low": np.nan, "high": np.nan, "p_value": np.nan}
    low, high = intervals.interval(samples)
    return {"samples": samples, "low": low, "high": high, "p_value": significance.bootstrap_p_value(samples)}
