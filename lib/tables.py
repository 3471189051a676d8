"""The long tables of a sweep, from per-canary scores: `auc`, `rho`, `delong`. Columns and their order are fixed here.

Records (one for each fine-tuned model) are measured once; `auc_table` and `rho_table` are made of the measurements.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib import files, hdf5, statistics
from lib.draws import generator
from lib.errors import TesseraError
from lib.rho import ESTIMATORS

EXACT = "exact"
NO_INJECTION = "none"
CORRECTED, PAPER = "corrected", "paper"
BOOTSTRAP_DRAWS = 1000

# What the levels of a kind count, ending in their symbol.
LEVELS = {
    EXACT: "exact copies ν", "replace": "replaced tokens R", "insert": "tokens that stay together n",
    "scramble": "tokens that stay together n", "shuffle": "Kendall distance τ", "paraphrase": "rephrasings N",
    "near_duplicates": "edits up to d",
}  # fmt: skip

Curves = Mapping[tuple[str, str], int]  # (model, setting) -> nu_max of its exact curve
KEY = ("model", "seed", "attack", "variant", "kind", "level", "setting")
POINT = ("model", "seed", "kind", "level", "setting")  # of a record
TPR_COLUMNS = tuple(f"tpr_at_fpr_{target:g}" for target in statistics.FPR_TARGETS)
AUC_COLUMNS = (
    *KEY, "n_members", "nominal_copies", "effective_copies", "auc", "auc_low", "auc_high", *TPR_COLUMNS,
)  # fmt: skip
RHO_COLUMNS = (
    *AUC_COLUMNS, "estimator", "n_seeds", "nu_max", "nu_eq", "rho", "rho_low", "rho_high", "rho_std", "rho_seeds_low",
    "rho_seeds_high", "clamped", "extrapolated", "flat", "non_monotone",
)  # fmt: skip
DELONG_COLUMNS = (
    *POINT, "attack", "variant", "auc", "baseline", "baseline_auc", "difference", "standard_error", "z", "p_value",
    "p_holm",
)  # fmt: skip
TEXT = ("model", "attack", "variant", "kind", "setting", "other_setting", "estimator", "baseline")
INTEGERS = ("seed", "n_members", "n_seeds", "nu_max")
FLAGS = ("clamped", "extrapolated", "flat", "non_monotone")
# Eight digits are more than any AUC of canaries holds, and less than what differs between two builds of a library.
FLOAT_FORMAT = "%.8g"
EMPTY_INTEGER = np.iinfo(np.int64).min

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """The scores of one fine-tuned model.

    labels: model (str), seed (int), kind ("exact", "replace", ..., or "none" for what no injection made), level
    (a number: nu, R, tau, ...) and, unless it is the default "", setting (str: what else tells it from other records
    of the kind, `ngram=2`). members, non_members: score name -> (n,) and (m,) floats, higher = member; a name that
    ends in `_paper` is the published variant. effective_copies, nominal_copies: copies of a canary that stand whole in
    one training sequence, and that were injected (known for exact records), means over canaries.
    """

    labels: Mapping[str, Any]
    members: Mapping[str, np.ndarray]
    non_members: Mapping[str, np.ndarray]
    effective_copies: float = float("nan")
    n_members: int | None = None
    nominal_copies: float = float("nan")


@dataclass(frozen=True)
class Measurement:
    """The AUC of one score of one record, with its bootstrap samples (draws,), if canaries were at hand."""

    model: str
    seed: int
    attack: str
    variant: str
    kind: str
    level: float
    auc: float
    setting: str = ""
    samples: np.ndarray | None = None
    tpr: tuple[float, ...] = (float("nan"),) * len(TPR_COLUMNS)
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
    Raises TesseraError naming the record and the score for missing, empty or NaN scores, or a record that comes twice.
    """
    found = [measured for record in records for measured in _measure_record(record, seed, n_bootstrap)]
    found.sort(key=lambda measured: measured.key)
    for one, other in itertools.pairwise(found):
        if one.key == other.key:
            raise TesseraError(f"two records for {dict(zip(KEY, one.key))}; give each setting a label of its own")
    return found


def auc_table(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """One row for each measurement, in AUC_COLUMNS."""
    return frame([_auc_row(measured) for measured in measurements], AUC_COLUMNS, KEY)


def rho_table(measurements: Iterable[Measurement], planned: Curves | None = None) -> pd.DataFrame:
    """rho of every fuzzy setting by every estimator, in RHO_COLUMNS; and, with `seed` empty, means over seeds.

    The curve is that of the exact records of the same model, seed, attack, variant and setting, or of the setting ""
    where the model has no exact records of that setting; nu_max is its largest nu over all seeds. Where the curve does
    not run from 1 to nu_max, rho stays empty and a warning says why. planned: the curves that there will be once
    everything is done, so that a part of it is read off no other and off no shorter curve.
    rho_low, rho_high: over canaries; of a mean, that of the mean of the seeds' samples. rho_std: standard deviation
    over seeds (ddof 0); rho_seeds_low, rho_seeds_high: t interval of the mean over seeds, of two or more.
    """
    return rho_frame(rho_rows(measurements, planned))


def rho_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of `rho_rows`."""
    return frame(rows, RHO_COLUMNS, (*KEY, "estimator"))


def rho_rows(measurements: Iterable[Measurement], planned: Curves | None = None) -> list[dict[str, Any]]:
    """The rows of `rho_table`, which have their bootstrap samples as well: `rho_samples` (draws,) or None; and `curve`,
    the setting whose exact curve rho was read off. What could not be estimated has no key `rho`."""
    curves = _Curves(measurements := list(measurements), planned or {})
    rows = [row for measured in measurements if _is_fuzzy(measured) for row in _rho_rows(measured, curves)]
    return rows + list(_mean_rows(rows))


def delong_table(records: Iterable[Record], baseline: str = "loss") -> pd.DataFrame:
    """The paired DeLong test of every score against `baseline` on the same canaries, in DELONG_COLUMNS.

    p_holm: corrected for the comparisons of the record's scores of one variant.
    """
    rows = [row for record in records if baseline in record.members for row in _delong_rows(record, baseline)]
    return frame(rows, DELONG_COLUMNS, (*POINT, "attack", "variant"))


def summary(
    rho: pd.DataFrame, estimator: str = "isotonic", variant: str = CORRECTED, kind: str = "replace",
    attack: str | None = None,
) -> tuple[list[str], list[list[str]]]:  # fmt: skip
    """The closing table: rho by level, a row for each model, setting and attack (one attack alone, if it is given);
    means over seeds. Returns (header, rows)."""
    mine = rho["seed"].isna() & (rho["estimator"] == estimator) & (rho["variant"] == variant) & (rho["kind"] == kind)
    return _pivot(rho[mine & (rho["attack"].eq(attack) | (attack is None))], "rho", symbol_of(kind))


def auc_summary(
    auc: pd.DataFrame, variant: str = CORRECTED, kind: str = EXACT
) -> tuple[list[str], list[list[str]]]:  # fmt: skip
    """AUC by level, a row for each model, setting and attack; means over seeds. Returns (header, rows)."""
    return _pivot(auc[(auc["variant"] == variant) & (auc["kind"] == kind)], "auc", symbol_of(kind))


def delong_summary(delong: pd.DataFrame, variant: str = CORRECTED) -> tuple[list[str], list[list[str]]]:
    """Every attack against the baseline after the most exact copies of the default setting, a row for each seed.
    Returns (header, rows)."""
    rows = delong[(delong["kind"] == EXACT) & (delong["variant"] == variant) & (delong["setting"] == "")]
    rows = rows[rows["level"] == rows["level"].max()]
    header = ["model", "attack", "seed", "AUC", "AUC of the baseline", "difference", "p", "p by Holm"]
    return header, [
        [
            row.model,
            row.attack,
            str(row.seed),
            *map(_cell, (row.auc, row.baseline_auc, row.difference)),
            f"{row.p_value:.2g}",
            f"{row.p_holm:.2g}",
        ]
        for row in rows.itertuples()
    ]


def main_attack(auc: pd.DataFrame, variant: str = CORRECTED) -> str:
    """The attack that speaks where there is room for one: `ratio`, which is behind every published rho, or the one that
    tells copies apart best where there is no ratio."""
    rows = auc[(auc["variant"] == variant) & (auc["kind"] != NO_INJECTION)]
    return "ratio" if "ratio" in set(rows["attack"]) else telling_attack(rows[rows["kind"] == EXACT])


def telling_attack(exact: pd.DataFrame) -> str:
    """The attack whose AUC rises most from the fewest to the most exact copies, mean over models and seeds.

    rho inverts this rise: an attack that finds nearly every canary after one copy tells nothing of how many a fuzzy
    duplicate is worth.
    """
    means = exact.groupby(["attack", "level"])["auc"].mean().unstack("level").sort_index(axis=1)
    rises = means.iloc[:, -1] - (means.iloc[:, 0] if means.shape[1] > 1 else 0.0)
    return str(rises.idxmax())


def level_name(kind: str) -> str:
    """What the levels of a kind count, ending in their symbol: `replaced tokens R`."""
    return LEVELS.get(kind, f"{kind} level")


def symbol_of(kind: str) -> str:
    """The symbol of a kind's levels."""
    return level_name(kind).rsplit(" ", 1)[-1]


def ordered_settings(settings: Iterable[str]) -> list[str]:
    """Each setting once, numbers in their order: `k=10` before `k=100` before `k=random`."""
    return sorted(set(settings), key=lambda setting: [_rank(part) for part in setting.split(";")])


def _rank(label: str) -> tuple[str, float, str]:
    name, _, value = label.partition("=")
    try:
        return name, float(value), value
    except ValueError:
        return name, float("inf"), value


def _pivot(rows: pd.DataFrame, value: str, symbol: str) -> tuple[list[str], list[list[str]]]:
    """A column a level; one for the setting where there is any but the default."""
    means = rows.groupby(["model", "setting", "attack", "level"])[value].mean().unstack("level")
    order = {setting: i for i, setting in enumerate(ordered_settings(rows["setting"]))}
    means = means.sort_index(key=lambda index: index.map(order) if index.name == "setting" else index)
    names = ["model", "setting", "attack"] if any(order) else ["model", "attack"]
    header = [*names, *(f"{symbol}={level:g}" for level in means.columns)]
    found = zip(means.reset_index()[names].to_numpy(), means.to_numpy())
    return header, [[*map(str, key), *map(_cell, values)] for key, values in found]


def split_score(name: str) -> tuple[str, str]:
    """`ratio_paper` -> (ratio, paper); `ratio` -> (ratio, corrected)."""
    suffix = f"_{PAPER}"
    return (name.removesuffix(suffix), PAPER) if name.endswith(suffix) else (name, CORRECTED)


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV: LF line ends, eight digits, empty where nothing is known, flags as True or False."""
    return table.to_csv(index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `to_csv(table)`; the same table gives the same bytes."""
    files.write_bytes(path, to_csv(table).encode())


def write_hdf5(path: Path, table: pd.DataFrame) -> None:
    """Write a table, one dataset a column (text as fixed-length UTF-8 bytes, flags as int8).

    Attribute `columns`: their order. What stands for empty: NaN in floats, the attribute `empty_integer` in integers,
    -1 in flags.
    """
    with hdf5.create(path) as file:
        file.attrs["columns"] = ",".join(table.columns)
        file.attrs["empty_integer"] = EMPTY_INTEGER
        for name in table.columns:
            hdf5.write(file, name, _plain(table[name]))


def read_csv(path: Path) -> pd.DataFrame:
    """A table that `write_csv` wrote, with its types. Raises TesseraError when the file is absent or no such table."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise TesseraError(f"{path}: cannot be read as a table: {error}") from error
    text = [name for name in TEXT if name in table]
    return _typed(table.assign(**table[text].astype(object).fillna("")))


def _measure_record(record: Record, seed: int, n_bootstrap: int) -> Iterator[Measurement]:
    labels = _labels(record)
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


def _labels(record: Record) -> dict[str, Any]:
    return {"setting": "", **{name: record.labels[name] for name in POINT if name in record.labels}}


def _bootstrap_counts(seed: int, record_seed: int, size: tuple[int, int], draws: int) -> tuple[np.ndarray, np.ndarray]:
    sides = zip(size, ("bootstrap of members", "bootstrap of non-members"))
    members, others = (
        statistics.resample_counts(n, draws, generator(seed, purpose, record_seed)) if n else np.zeros((draws, 0))
        for n, purpose in sides
    )
    return members, others


def _measurement(
    record: Record, labels: Mapping[str, Any], score: str, positive: np.ndarray, negative: np.ndarray,
    counts: tuple[np.ndarray, np.ndarray],
) -> Measurement:  # fmt: skip
    attack, variant = split_score(score)
    return Measurement(
        **labels, attack=attack, variant=variant,
        auc=statistics.auc(positive, negative),
        samples=statistics.bootstrap_auc(positive, negative, *counts),
        tpr=tuple(statistics.tpr_at_fpr(positive, negative, target) for target in statistics.FPR_TARGETS),
        n_members=len(positive) if record.n_members is None else record.n_members,
        nominal_copies=float(labels["level"]) if labels["kind"] == EXACT else record.nominal_copies,
        effective_copies=record.effective_copies,
    )  # fmt: skip


def _auc_row(measured: Measurement) -> dict[str, Any]:
    low, high = _interval(measured.samples)
    return {
        **dict(zip(KEY, measured.key)), **dict(zip(TPR_COLUMNS, measured.tpr)),
        "n_members": measured.n_members, "nominal_copies": measured.nominal_copies,
        "effective_copies": measured.effective_copies, "auc": measured.auc, "auc_low": low, "auc_high": high,
        "samples": measured.samples,
    }  # fmt: skip


def _interval(samples: np.ndarray | None) -> tuple[float, float]:
    return (np.nan, np.nan) if samples is None else statistics.interval(samples)


def _is_fuzzy(measured: Measurement) -> bool:
    return measured.kind not in (EXACT, NO_INJECTION)


@dataclass(frozen=True)
class _Curve:
    """The exact curve of one model, seed, score and setting; `samples` (draws, levels), and why rho is not computed,
    if so."""

    copies: list[int]
    auc: np.ndarray
    samples: np.ndarray | None
    nu_max: int
    fault: str


class _Curves:
    """The exact curves by (model, seed, attack, variant, setting)."""

    def __init__(self, measurements: Sequence[Measurement], planned: Curves):
        groups: dict[tuple[Any, ...], list[Measurement]] = {}
        for measured in measurements:
            if measured.kind == EXACT and measured.level >= 1:
                groups.setdefault((*measured.key[:4], measured.setting), []).append(measured)
        self.nu_max = dict(planned)
        for (model, *_, setting), points in groups.items():
            largest = int(max(point.level for point in points))
            self.nu_max[model, setting] = max(self.nu_max.get((model, setting), 0), largest)
        self.found = {key: _curve(points, self.nu_max[key[0], key[-1]]) for key, points in groups.items()}

    def of(self, measured: Measurement) -> _Curve | None:
        """The curve that a fuzzy setting is held against: its own, if the model has one, else the default."""
        return self.found.get((*measured.key[:4], self.setting_of(measured)))

    def setting_of(self, measured: Measurement) -> str:
        """The setting of that curve."""
        return measured.setting if (measured.model, measured.setting) in self.nu_max else ""


def _curve(points: Sequence[Measurement], nu_max: int) -> _Curve:
    points = sorted(points, key=lambda point: point.level)
    copies = [int(point.level) for point in points]
    sampled = all(point.samples is not None for point in points)
    missing = sorted({1, nu_max} - set(copies))
    fault = f"its exact curve lacks nu = {missing[0]}" if missing else ""
    if nu_max < 2:
        fault = "an exact curve wants nu = 1 and a larger nu"
    samples = np.stack([point.samples for point in points], axis=-1) if sampled else None
    return _Curve(copies, np.array([point.auc for point in points]), samples, nu_max, fault)


def _rho_rows(measured: Measurement, curves: _Curves) -> Iterator[dict[str, Any]]:
    """A row for each estimator; empty estimates, and a warning, where there is no whole exact curve."""
    curve = curves.of(measured)
    fault = "it has no exact records" if curve is None else curve.fault
    if fault:
        log.warning("rho of %s is left empty: %s", dict(zip(KEY, measured.key)), fault)
    for estimator in ESTIMATORS:
        row = {**_auc_row(measured), "estimator": estimator, "n_seeds": 0 if fault else 1}
        row["curve"] = curves.setting_of(measured)
        yield row if curve is None or fault else {**row, **_rho_fields(measured, curve, estimator)}


def _rho_fields(measured: Measurement, curve: _Curve, estimator: str) -> dict[str, Any]:
    estimate = ESTIMATORS[estimator](curve.copies, curve.auc, measured.auc)
    samples = None
    if curve.samples is not None and measured.samples is not None:
        samples = ESTIMATORS[estimator](curve.copies, curve.samples, measured.samples).rho
    low, high = _interval(samples)
    return {
        "nu_max": curve.nu_max, "nu_eq": float(estimate.nu_eq), "rho": float(estimate.rho),
        "rho_low": low, "rho_high": high, "rho_samples": samples,
        **{flag: bool(getattr(estimate, flag)) for flag in FLAGS},
    }  # fmt: skip


def _mean_rows(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over the seeds whose rho is known, `seed` empty, for every other key."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = tuple(row[name] for name in (*KEY, "estimator") if name != "seed")
        groups.setdefault(key, []).append(row)
    for group in groups.values():
        if known := [row for row in group if "rho" in row]:
            yield _mean_row(known)


def _mean_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means = ("auc", *TPR_COLUMNS, "nominal_copies", "effective_copies", "nu_eq", "rho")
    auc_low, auc_high = _interval(_mean_samples(rows, "samples"))
    rho_low, rho_high = _interval(samples := _mean_samples(rows, "rho_samples"))
    seeds_low, seeds_high = statistics.seeds_interval([row["rho"] for row in rows])
    sizes = {row["n_members"] for row in rows}
    return {
        **rows[0], **{name: float(np.mean([row[name] for row in rows])) for name in means},
        "seed": None, "n_members": sizes.pop() if len(sizes) == 1 else None, "n_seeds": len(rows),
        "auc_low": auc_low, "auc_high": auc_high, "rho_low": rho_low, "rho_high": rho_high,
        "rho_samples": samples, "rho_std": float(np.std([row["rho"] for row in rows])),
        "rho_seeds_low": seeds_low, "rho_seeds_high": seeds_high,
        **{flag: any(row[flag] for row in rows) for flag in FLAGS},
    }  # fmt: skip


def _mean_samples(rows: Sequence[dict[str, Any]], name: str) -> np.ndarray | None:
    samples = [row[name] for row in rows]
    return None if any(sample is None for sample in samples) else np.mean(samples, axis=0)


def _delong_rows(record: Record, baseline: str) -> list[dict[str, Any]]:
    rows = [_delong_row(record, score, baseline) for score in record.members if score != baseline]
    for variant in (CORRECTED, PAPER):
        family = [row for row in rows if row["variant"] == variant]
        for row, corrected in zip(family, statistics.holm([row["p_value"] for row in family])):
            row["p_holm"] = float(corrected)
    return rows


def _delong_row(record: Record, score: str, baseline: str) -> dict[str, Any]:
    attack, variant = split_score(score)
    arrays = record.members[score], record.non_members[score]
    against = record.members[baseline], record.non_members[baseline]
    test = statistics.delong_test(*arrays, *against)
    return {
        **_labels(record),
        "attack": attack, "variant": variant, "auc": statistics.auc(*arrays),
        "baseline": baseline, "baseline_auc": statistics.auc(*against), **test._asdict(),
    }  # fmt: skip


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Rows as a table of these columns with their types, sorted by `order`, empty values last."""
    table = pd.DataFrame([{name: row.get(name) for name in columns} for row in rows], columns=list(columns))
    return _typed(table).sort_values(list(order), na_position="last", kind="stable", ignore_index=True)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Integers nullable, flags nullable booleans, text as objects, the rest float64."""
    return table.astype({name: "object" if name in TEXT else _number_type(name) for name in table.columns})


def _number_type(name: str) -> str:
    if name in INTEGERS:
        return "Int64"
    return "boolean" if name in FLAGS else "float64"


def _plain(column: pd.Series) -> np.ndarray:
    if column.dtype == object:
        return np.array([str(value).encode() for value in column], dtype=np.bytes_)
    if column.dtype == "Int64":
        return column.to_numpy(dtype=np.int64, na_value=EMPTY_INTEGER)
    if column.dtype == "boolean":
        return column.to_numpy(dtype=np.int8, na_value=-1)
    return column.to_numpy(dtype=np.float64)


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
