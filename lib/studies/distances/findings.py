"""The distances study in words: which distance predicts rho best and worst."""

from collections.abc import Iterator

import pandas as pd

from lib.reporting.cells import interval
from lib.studies.distances.figures import NAMES
from lib.studies.distances.tables import best


def in_words(predictors: pd.DataFrame, attack: str, estimator: str) -> Iterator[str]:
    """A paragraph for each model."""
    for model in dict.fromkeys(predictors["model"]):
        rows = best(predictors, model, attack, estimator)
        if rows.empty:
            yield f"{model}: too few perturbations for a rank correlation."
            continue
        first, last = rows.iloc[0], rows.iloc[-1]
        yield (
            f"{model}: of {len(rows)} distances over {first['perturbations']:g} perturbations, "
            f"{NAMES[first['distance']]} predicts ρ best (Spearman {_correlation(first)}) and "
            f"{NAMES[last['distance']]} worst ({_correlation(last)})."
        )


def _correlation(row: pd.Series) -> str:
    return f"{row['spearman']:.2f} {interval(row['low'], row['high'], 2)}"
