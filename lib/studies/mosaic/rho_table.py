"""rho of every fuzzy setting: where it is computed, and from what.

The AUC of a fuzzy setting (a `Measurement`) is read off the exact curve, the AUC against the number nu of exact copies
of the same model, seed, attack and variant. The number nu_eq of exact copies with the same AUC gives rho = (nu_eq - 1)
/ (nu_max - 1). Measurements are made from the scores of the stage membership (scores.h5), which `reading` reads and
`measurements` turns into AUCs. Both estimators are in `lib.statistics.rho`; here are the choice of the curve, the
interval over canaries (the estimator applied to every bootstrap draw of curve and setting), and means over seeds.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lib.reporting.frames import frame
from lib.statistics import intervals
from lib.statistics.rho import ESTIMATORS, Rho
from lib.studies.mosaic import auc_table, paired
from lib.studies.mosaic.auc_table import TPR_COLUMNS, at_chance, mean_samples, samples_interval
from lib.studies.mosaic.measurements import KEY, Measurement
from lib.studies.mosaic.words import EXACT, NO_INJECTION

LargestCopies = Mapping[tuple[str, str], int]  # (model, setting) -> nu_max of its exact curve
FLAGS = Rho._fields[2:]  # of an estimate
NO_RESULT = ("clamped", "extrapolated", "flat", "at_chance")  # an estimate with one of these is not shown as a result
COLUMNS = (
    *auc_table.MEASURED, "estimator", "n_seeds", "nu_max", "nu_eq", "rho", "rho_low", "rho_high", "rho_std",
    "rho_seeds_low", "rho_seeds_high", *FLAGS,
    "at_chance",
)  # fmt: skip


log = logging.getLogger(__name__)


def make(measurements: Iterable[Measurement], planned: LargestCopies | None = None) -> pd.DataFrame:
    """rho of every fuzzy setting by every estimator, in COLUMNS, and means over seeds, whose `seed` is empty.

    The curve has the same setting, or the setting "" where the model has no exact records of that setting; nu_max is
    its largest nu over all seeds. A curve that does not run from 1 to nu_max leaves rho empty, and a warning says why.
    planned: the curves there will be once everything is done. Until then no setting is read off another curve, or off a
    shorter one.
    rho_low, rho_high: over canaries; of a mean, that of the mean of the seeds' samples. rho_std: standard deviation
    over seeds (ddof 0); rho_seeds_low, rho_seeds_high: t interval of the mean. One seed has none of these.
    """
    return from_rows(rows(measurements, planned))


def from_rows(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of these `rows`."""
    return frame(found, COLUMNS, (*KEY, "estimator"))


def rows(measurements: Iterable[Measurement], planned: LargestCopies | None = None) -> list[dict[str, Any]]:
    """The rows of the table. A row without an estimate has no key `rho`.

    Beside the columns they have `rho_samples`, bootstrap samples (draws,) or None, and `curve`, the setting whose exact
    curve rho was read off.
    """
    measurements = list(measurements)
    curves = _Curves(measurements, planned or {})
    fuzzy = [measured for measured in measurements if _is_fuzzy(measured)]
    for fault, concerned in paired.grouped_by(fuzzy, curves.fault_of).items():
        if fault:
            log.warning("no rho for %d of %d AUCs, such as %s: %s", len(concerned), len(fuzzy), concerned[0].key, fault)
    found = [row for measured in fuzzy for row in _rows(measured, curves)]
    return found + list(_mean_rows(found))


def is_flagged(row: Mapping[str, Any]) -> bool:
    """Whether an estimate is no result: clamped, extrapolated, from a flat part of its curve, or from an AUC that may
    be 0.5."""
    return any(row.get(flag) for flag in NO_RESULT)


def flagged(table: pd.DataFrame) -> pd.Series:
    """`is_flagged` of every row of the table."""
    known = [flag for flag in NO_RESULT if flag in table]  # tables of earlier versions lack some
    return table[known].fillna(False).astype(bool).any(axis=1)


def _is_fuzzy(measured: Measurement) -> bool:
    return measured.kind not in (EXACT, NO_INJECTION)


@dataclass(frozen=True)
class _Curve:
    """The exact curve of one model, seed, score and setting.

    samples: (draws, levels). fault: why rho cannot be read off this curve; "" where it can.
    """

    copies: list[int]
    auc: np.ndarray
    samples: np.ndarray | None
    nu_max: int
    fault: str


class _Curves:
    """The exact curves by (model, seed, attack, variant, setting)."""

    def __init__(self, measurements: Sequence[Measurement], planned: LargestCopies):
        groups: dict[tuple[Any, ...], list[Measurement]] = {}
        for measured in measurements:
            if measured.kind == EXACT and measured.level >= 1:
                groups.setdefault((*measured.key[:4], measured.setting), []).append(measured)
        self.nu_max = dict(planned)
        for (model, *_, setting), points in groups.items():
            largest = int(max(point.level for point in points))
            self.nu_max[model, setting] = max(self.nu_max.get((model, setting), 0), largest)
        self.found = {key: _curve(points, self.nu_max[key[0], key[-1]]) for key, points in groups.items()}

    def curve_of(self, measured: Measurement) -> _Curve | None:
        """The curve that a fuzzy setting is read off: its own, if the model has one, else the default."""
        return self.found.get((*measured.key[:4], self.setting_of(measured)))

    def fault_of(self, measured: Measurement) -> str:
        """Why rho of a fuzzy setting cannot be read off; "" where it can."""
        curve = self.curve_of(measured)
        return "its model has no exact copies" if curve is None else curve.fault

    def setting_of(self, measured: Measurement) -> str:
        """The setting of that curve."""
        return measured.setting if (measured.model, measured.setting) in self.nu_max else ""


def _curve(points: Sequence[Measurement], nu_max: int) -> _Curve:
    points = sorted(points, key=lambda point: point.level)
    copies = [int(point.level) for point in points]
    samples = [point.samples for point in points if point.samples is not None]
    missing = sorted({1, nu_max} - set(copies))
    fault = f"its exact curve has no nu = {missing[0]}" if missing else ""
    if nu_max < 2:
        fault = "an exact curve needs nu = 1 and a larger nu"
    stacked = np.stack(samples, axis=-1) if len(samples) == len(points) else None
    return _Curve(copies, np.array([point.auc for point in points]), stacked, nu_max, fault)


def _rows(measured: Measurement, curves: _Curves) -> Iterator[dict[str, Any]]:
    """A row for each estimator; without a whole exact curve the estimates are empty."""
    curve = curves.curve_of(measured)
    for estimator in ESTIMATORS:
        row = {**auc_table.row(measured), "estimator": estimator, "curve": curves.setting_of(measured)}
        if curve is None or curve.fault:
            yield {**row, "n_seeds": 0}
        else:
            yield {**row, "n_seeds": 1, **_estimate(measured, curve, estimator)}


def _estimate(measured: Measurement, curve: _Curve, estimator: str) -> dict[str, Any]:
    estimate = ESTIMATORS[estimator](curve.copies, curve.auc, measured.auc)
    samples = None
    if curve.samples is not None and measured.samples is not None:
        samples = ESTIMATORS[estimator](curve.copies, curve.samples, measured.samples).rho
    low, high = samples_interval(samples)
    return {
        "nu_max": curve.nu_max, "nu_eq": float(estimate.nu_eq), "rho": float(estimate.rho),
        "rho_low": low, "rho_high": high, "rho_samples": samples,
        **{flag: bool(getattr(estimate, flag)) for flag in FLAGS},
    }  # fmt: skip


def _mean_rows(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over the seeds whose rho is known, for every key without its seed."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = tuple(row[name] for name in (*KEY, "estimator") if name != "seed")
        groups.setdefault(key, []).append(row)
    for group in groups.values():
        known = [row for row in group if "rho" in row]
        if known:
            yield _mean_row(known)


def _mean_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means = ("auc", *TPR_COLUMNS, "nominal_copies", "effective_copies", "nu_eq", "rho")
    auc_low, auc_high = samples_interval(mean_samples(rows, "samples"))
    samples = mean_samples(rows, "rho_samples")
    rho_low, rho_high = samples_interval(samples)
    seeds_low, seeds_high = intervals.seeds_interval([row["rho"] for row in rows])
    sizes = {row["n_members"] for row in rows}
    return {
        **rows[0], **{name: float(np.mean([row[name] for row in rows])) for name in means},
        "seed": None, "n_members": sizes.pop() if len(sizes) == 1 else None, "n_seeds": len(rows),
        "auc_low": auc_low, "auc_high": auc_high, "rho_low": rho_low, "rho_high": rho_high,
        "rho_samples": samples, "rho_std": intervals.seeds_deviation([row["rho"] for row in rows]),
        "rho_seeds_low": seeds_low, "rho_seeds_high": seeds_high, "at_chance": at_chance(auc_low, auc_high),
        **{flag: any(row[flag] for row in rows) for flag in FLAGS},
    }  # fmt: skip
