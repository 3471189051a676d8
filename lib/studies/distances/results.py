"""What the distances sweep hands over: tables (CSV and HDF5), figures (PNG and PDF), the report."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.base import places
from lib.reporting import page, writer
from lib.reporting.cells import TextTable, interval
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.distances import figures, tables
from lib.studies.distances.tables import Means
from lib.studies.mosaic import findings
from lib.studies.mosaic.published import RHO_ATTACK
from lib.studies.mosaic.words import label_of

ESTIMATOR = "isotonic"
METHODS = {
    "Distances": "Of the ids that a duplicate's text gives, to its canary: Levenshtein, Damerau-Levenshtein "
    "(unrestricted), Indel (length of both less twice the longest common subsequence), token overlap (tokens of the "
    "longer one without a counterpart), and 1 less the Jaccard coefficient of the sets of tokens and of n-grams. Means "
    "over all variations of all canaries; n-grams of sequences shorter than n are undefined and left out.",
    "Rank correlation": "Spearman's, of ρ (mean over seeds) with the mean distance, over perturbations (a kind at a "
    "level and a setting); the interval is a 95 % percentile bootstrap over perturbations, with the same draws for "
    "every distance that is defined for all of them. Duplicates scattered over a document have no distance to their "
    "canary and take no part.",
}


def write(
    root: Path, name: str, auc: pd.DataFrame, rho: pd.DataFrame, means: Means, description: Description, seed: int
) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name.

    auc, rho: as lib.studies.mosaic.measure makes them; means: the mean distances of every perturbation and seed; seed:
    of the bootstrap. The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    distances = tables.distances_table(rho, means)
    predictors = tables.predictors_table(distances, seed)
    found = {"distances": distances, "predictors": predictors, "auc": auc, "rho": rho}
    attack = _attack(distances)
    known = distances[distances["seed"].isna() & (distances["attack"] == attack)]
    drawn = [_figure(distances, model, attack) for model in dict.fromkeys(known["model"])]
    results = Results(
        found, drawn, _shown(found, attack), _in_words(predictors, attack), findings.warnings(auc, rho),
        {**page.METHODS, **METHODS},
    )  # fmt: skip
    writer.write(root, name, results, description)
    return found


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: the rank correlation of each distance with rho. Returns (header, rows)."""
    return tables.predictors_summary(found["predictors"], _attack(found["distances"]), ESTIMATOR)


def _attack(distances: pd.DataFrame) -> str:
    """The attack that speaks: that of the published rho where it was scored."""
    known = sorted(set(distances["attack"]))
    return RHO_ATTACK if RHO_ATTACK in known or not known else known[0]


def _figure(distances: pd.DataFrame, model: str, attack: str) -> Drawn:
    figure = figures.rho_figure(distances, model, attack, ESTIMATOR)
    caption = (
        f"ρ ({ESTIMATOR} estimator, {label_of(attack)} attack, mean over seeds) of every perturbation against the mean "
        "of each distance to the canary."
    )
    return Drawn(f"rho_by_distance_{places.slug(model)}", f"ρ against distance, {model}", caption, figure)


def _shown(found: Mapping[str, pd.DataFrame], attack: str) -> list[ReportTable]:
    how = f"{label_of(attack)} attack, {ESTIMATOR} estimator"
    shown = tables.distances_summary(found["distances"], attack, ESTIMATOR)
    return [
        report_table(
            "predictors", f"Rank correlation of ρ with each distance, {how}; the best (most negative) first. All rows:",
            summary(found), found["predictors"],
        ),
        report_table(
            "distances", f"ρ and the mean distances of every perturbation, {how}, means over seeds. All rows:",
            shown, found["distances"],
        ),
    ]  # fmt: skip


def _in_words(predictors: pd.DataFrame, attack: str) -> list[str]:
    texts = []
    for model in dict.fromkeys(predictors["model"]):
        rows = tables.best(predictors, model, attack, ESTIMATOR)
        if rows.empty:
            texts.append(f"{model}: too few perturbations for a rank correlation.")
            continue
        first, last = rows.iloc[0], rows.iloc[-1]
        texts.append(
            f"{model}: of {len(rows)} distances {figures.NAMES[first['distance']]} predicts ρ best over "
            f"{first['perturbations']:g} perturbations (Spearman {_correlation(first)}), "
            f"{figures.NAMES[last['distance']]} worst ({_correlation(last)})."
        )
    return texts


def _correlation(row: pd.Series) -> str:
    return f"{row['spearman']:.2f} {interval(row['low'], row['high'], 2)}"
