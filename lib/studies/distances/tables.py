"""The tables of the distances study: rho beside the mean distances of every perturbation, and how well they predict it.

A perturbation is a kind at a level and a setting. The rank correlation is Spearman's. It is negative where duplicates
further from the canary are worth less. Its interval is a bootstrap over perturbations: it shows what another choice of
perturbations could have given, not what other canaries could have.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.base.seeds import generator
from lib.perturbations.distances import MEASURES
from lib.reporting.frames import frame
from lib.statistics import intervals
from lib.studies.mosaic import published
from lib.studies.mosaic.measurements import RECORD_KEY
from lib.studies.mosaic.rho_table import flagged
from lib.studies.mosaic.words import CORRECTED

RHO = ("rho", "rho_low", "rho_high", "rho_std", "n_seeds")
PUBLISHED = published.BESIDE_COLUMNS[4:]
DISTANCES_COLUMNS = (*RECORD_KEY, "attack", "variant", "estimator", *RHO, *PUBLISHED, *MEASURES, "flagged")
PREDICTORS_COLUMNS = ("model", "attack", "variant", "estimator", "distance", "perturbations", "spearman", "low", "high")
DRAWS = 2000
FEWEST = 3  # perturbations of a rank correlation

Means = Mapping[tuple, Mapping[str, float]]  # a value of RECORD_KEY -> measure -> the mean over variations


def make(rho: pd.DataFrame, means: Means, theirs: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """Both tables by name. theirs: the published rho (see `published.beside`); seed: of the bootstrap over
    perturbations."""
    distances = distances_table(published.join(rho, theirs), means)
    return {"distances": distances, "predictors": predictors_table(distances, seed)}


def distances_table(rho: pd.DataFrame, means: Means) -> pd.DataFrame:
    """Each row of a rho table (with PUBLISHED) with the mean of every distance, in DISTANCES_COLUMNS; settings without
    one are left out.

    Rows of means over seeds (`seed` empty) have the mean of their seeds' distances. flagged: by `rho_table.flagged`.
    """
    measured = pd.DataFrame([{**dict(zip(RECORD_KEY, key)), **values} for key, values in means.items()])
    if measured.empty:
        return frame([], DISTANCES_COLUMNS, text=("published_source",))
    over_seeds = measured.groupby(["model", "kind", "level", "setting"], as_index=False)[list(MEASURES)].mean()
    every = pd.concat([measured, over_seeds.assign(seed=pd.NA)], ignore_index=True).astype({"seed": "Int64"})
    found = (
        rho.assign(flagged=flagged(rho))
        .astype({"level": float})
        .merge(every.astype({"level": float}), on=list(RECORD_KEY))
    )
    return found[list(DISTANCES_COLUMNS)]


def predictors_table(found: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Spearman's correlation of rho (means over seeds) with each distance, over perturbations; in PREDICTORS_COLUMNS.

    The best (most negative) comes first for each model, attack, variant and estimator. Empty where fewer than FEWEST
    perturbations have both values, or where all values are equal.
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
    # the same draws for every measure, so that two measures never differ by their draws
    draws = generator(seed, "bootstrap of perturbations", n).integers(0, n, (DRAWS, n))
    sampled = spearman(*np.moveaxis(pairs[draws], -1, 0))
    sampled = sampled[np.isfinite(sampled)]
    low, high = intervals.interval(sampled) if len(sampled) else (np.nan, np.nan)
    return {**empty, "spearman": float(spearman(*pairs.T)), "low": low, "high": high}


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis, ties by mean ranks: (...); NaN where one side is constant."""
    ranks = [rankdata(values, axis=-1) for values in (a, b)]
    x, y = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), norm, out=np.full(norm.shape, np.nan), where=norm > 0)


def best(predictors: pd.DataFrame, model: str, attack: str, estimator: str, variant: str = CORRECTED) -> pd.DataFrame:
    """The rows of one model and attack that have a correlation, the best predictor first."""
    mine = (predictors[["model", "attack", "estimator", "variant"]] == [model, attack, estimator, variant]).all(axis=1)
    return predictors[mine & predictors["spearman"].notna()]
