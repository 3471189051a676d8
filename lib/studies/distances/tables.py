"""rho against distance: the mean distance of every perturbation beside its rho, and how well each predicts it.

A perturbation is a kind at a level and a setting. The rank correlation is Spearman's, negative where duplicates further
from the canary are worth less; its interval is a bootstrap over perturbations, and says what another choice of them
would have shown, not what other canaries would.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.base.seeds import generator
from lib.perturbations.distances import MEASURES
from lib.reporting.cells import TextTable, interval, number, short
from lib.reporting.frames import frame
from lib.statistics import intervals
from lib.studies.mosaic.measurements import RECORD_KEY
from lib.studies.mosaic.words import CORRECTED

RHO = ("rho", "rho_low", "rho_high", "rho_std", "n_seeds")
DISTANCES_COLUMNS = (*RECORD_KEY, "attack", "variant", "estimator", *RHO, *MEASURES)
PREDICTORS_COLUMNS = (
    "model", "attack", "variant", "estimator", "distance", "perturbations", "spearman", "low", "high",
)  # fmt: skip
DRAWS = 2000
FEWEST = 3  # perturbations that have an order

Means = Mapping[tuple, Mapping[str, float]]  # a value of RECORD_KEY -> measure -> the mean over variations


def distances_table(rho: pd.DataFrame, means: Means) -> pd.DataFrame:
    """Each row of a rho table with the mean of every distance, in DISTANCES_COLUMNS; settings without any are left out.

    Rows of means over seeds (`seed` empty) have the mean of their seeds' distances.
    """
    measured = pd.DataFrame([{**dict(zip(RECORD_KEY, key)), **values} for key, values in means.items()])
    if measured.empty:
        return frame([], DISTANCES_COLUMNS)
    over_seeds = measured.groupby(["model", "kind", "level", "setting"], as_index=False)[list(MEASURES)].mean()
    every = pd.concat([measured, over_seeds.assign(seed=pd.NA)], ignore_index=True).astype({"seed": "Int64"})
    found = rho.astype({"level": float}).merge(every.astype({"level": float}), on=list(RECORD_KEY))
    return found[list(DISTANCES_COLUMNS)]


def predictors_table(found: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Spearman's correlation of rho (means over seeds) with each distance, over perturbations; in PREDICTORS_COLUMNS.

    Best first (the most negative) for each model, attack, variant and estimator. Empty where fewer than FEWEST
    perturbations have both, or where all have the same.
    """
    means = found[found["seed"].isna() & found["rho"].notna()].sort_values(list(RECORD_KEY))
    keys = ["model", "attack", "variant", "estimator"]
    rows = [
        {**dict(zip(keys, key)), "distance": measure, **_correlation(group, measure, seed)}
        for key, group in means.groupby(keys)
        for measure in MEASURES
    ]
    return frame(rows, PREDICTORS_COLUMNS, [*keys, "spearman"], text=["distance"])


def _correlation(rows: pd.DataFrame, measure: str, seed: int) -> dict[str, float]:
    defined = rows[rows[measure].notna()]
    n = len(defined)
    empty = {"perturbations": n, "spearman": np.nan, "low": np.nan, "high": np.nan}
    if n < FEWEST:
        return empty
    pairs = defined[["rho", measure]].to_numpy(float)
    # the same draws for every measure: what differs between two of them is not the draw
    draws = generator(seed, "bootstrap of perturbations", n).integers(0, n, (DRAWS, n))
    sampled = spearman(*np.moveaxis(pairs[draws], -1, 0))
    sampled = sampled[np.isfinite(sampled)]
    low, high = intervals.interval(sampled) if len(sampled) else (np.nan, np.nan)
    return {**empty, "spearman": float(spearman(*pairs.T)), "low": low, "high": high}


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis, ties by mean ranks: (...); NaN where all of one are equal."""
    ranks = [rankdata(values, axis=-1) for values in (a, b)]
    x, y = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), norm, out=np.full(norm.shape, np.nan), where=norm > 0)


def predictors_summary(predictors: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """A row for each distance, the best predictor first; one column a model. Returns (header, rows)."""
    rows = predictors[(predictors["attack"] == attack) & (predictors["estimator"] == estimator)]
    rows = rows[rows["variant"] == variant]
    header = ["model", "distance", "Spearman", "interval", "perturbations"]
    return header, [
        [row.model, row.distance, number(row.spearman), interval(row.low, row.high), f"{row.perturbations:g}"]
        for row in rows.itertuples()
    ]


def distances_summary(found: pd.DataFrame, attack: str, estimator: str, variant: str = CORRECTED) -> TextTable:
    """A row for each perturbation, means over seeds: rho and every distance. Returns (header, rows)."""
    rows = found[found["seed"].isna() & (found["attack"] == attack) & (found["variant"] == variant)]
    header = ["model", "kind", "setting", "level", "ρ", *MEASURES]
    return header, [
        [row["model"], row["kind"], row["setting"], f"{row['level']:g}", number(row["rho"]),
         *(short(row[name]) for name in MEASURES)]
        for _, row in rows[rows["estimator"] == estimator].iterrows()
    ]  # fmt: skip


def means_of(columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each measure over variations; NaN where it is undefined for all, undefined ones left out."""
    found = {}
    for name in MEASURES:
        defined = np.asarray(columns[name])[~np.isnan(columns[name])]
        found[name] = float(defined.mean()) if len(defined) else float("nan")
    return found


def best(predictors: pd.DataFrame, model: str, attack: str, estimator: str, variant: str = CORRECTED) -> pd.DataFrame:
    """The rows of one model and attack, the best predictor first; those without a correlation left out."""
    mine = (predictors[["model", "attack", "estimator", "variant"]] == [model, attack, estimator, variant]).all(axis=1)
    return predictors[mine & predictors["spearman"].notna()]
