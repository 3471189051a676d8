"""The results of the distances sweep: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.base import places
from lib.reporting import page, writer
from lib.reporting.cells import TextTable, interval, mark, mean_over_seeds, number, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.distances import figures, findings, tables
from lib.studies.distances.tables import MEASURES, Means
from lib.studies.mosaic import equal_scores, published
from lib.studies.mosaic import findings as mosaic_findings
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.published import Key, Reference
from lib.studies.mosaic.results import NO_RESULT, write_published
from lib.studies.mosaic.words import CORRECTED, PAPER, label_of, main_attack

ESTIMATOR = "isotonic"
METHODS = {
    "Distances": "Between a canary and the ids that the text of a duplicate gives: Levenshtein, Damerau-Levenshtein "
    "(unrestricted), Indel (both lengths minus twice the longest common subsequence), token overlap (tokens of the "
    "longer sequence without a counterpart), and 1 minus the Jaccard coefficient of the sets of tokens or n-grams. "
    "Means are over all variations of all canaries. n-grams of shorter sequences are undefined and left out.",
    "Rank correlation": "Spearman's, between ρ (the mean, where there are several seeds) and the mean distance, over "
    "perturbations (a kind at a level and a setting). The interval is a 95 % percentile bootstrap over perturbations. "
    "All distances that are defined for all perturbations share their draws. Duplicates scattered over a document have "
    "no distance to their canary and are left out.",
}


def write(
    root: Path, name: str, auc: pd.DataFrame, rho: pd.DataFrame, means: Means, theirs: Mapping[Key, Reference],
    description: Description, seed: int, equal: Equal,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Write the results of sweep `name` under `root`; returns its tables by name.

    auc, rho: the tables of the mosaic study; means: the mean distances of every perturbation and seed; theirs:
    the published curves of those that have one; seed: of the bootstrap; equal: scores that are one attack, which
    captions and warnings count once. The same arguments give the same bytes. Raises TesseraError when a file cannot be
    written.
    """
    found = {**tables.make(rho, means, published.beside(theirs), seed), "auc": auc, "rho": rho}
    write_published(places.tables(root, name) / places.PUBLISHED_CURVES, theirs)
    sentences = list(findings.in_words(found["predictors"], _main_attack(found), ESTIMATOR))
    warnings = mosaic_findings.warnings(*(equal_scores.once(table, equal) for table in (auc, rho)))
    results = Results(found, draw(found), shown(found, equal), sentences, warnings, {**page.METHODS, **METHODS})
    writer.write(root, name, results, description)
    return found


def draw(found: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """One figure for each model, with its title and caption."""
    distances, predictors, attack = found["distances"], found["predictors"], _main_attack(found)
    caption = (
        f"ρ ({ESTIMATOR} estimator, {label_of(attack)} attack, {_over_seeds(found)}) of every perturbation against "
        "each mean distance to the canary."
    )
    rows = distances[distances["seed"].isna() & (distances["attack"] == attack)]
    return [
        Drawn(
            f"rho_by_distance_{places.slug(model)}",
            f"ρ against distance, {model}",
            caption,
            figures.rho_figure(distances, model, attack, ESTIMATOR),
            " ".join(findings.in_words(predictors[predictors["model"] == model], attack, ESTIMATOR)),
        )
        for model in dict.fromkeys(rows["model"])
    ]


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: the rank correlation of each distance with rho, the best predictor first."""
    rows = _chosen(found["predictors"], found)
    header = ["model", "distance", "Spearman", "interval", "perturbations"]
    return header, [
        [row.model, row.distance, number(row.spearman), interval(row.low, row.high), f"{row.perturbations:g}"]
        for row in rows.itertuples()
    ]


def shown(found: Mapping[str, pd.DataFrame], equal: Equal) -> list[ReportTable]:
    """What the report shows of the tables."""
    attack = equal_scores.caption(_main_attack(found), CORRECTED, equal)
    predictors = (
        f"Rank correlation of ρ ({ESTIMATOR} estimator) with each distance. The best (most negative) is first. "
        f"{attack} All rows:"
    )
    distances = (
        f"ρ ({ESTIMATOR} estimator) and the mean distances of every perturbation, {_over_seeds(found)}; beside ρ by "
        f"the paper estimator the published one where there is one. {attack} {NO_RESULT} All rows:"
    )
    return [
        report_table("predictors", predictors, summary(found), found["predictors"]),
        report_table("distances", distances, _distances(found), found["distances"]),
    ]


def _distances(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """A row for each perturbation, means over seeds: rho, the published one and every distance."""
    keys = ["model", "kind", "setting", "level"]
    ours, paper = (
        _chosen(found["distances"][found["distances"]["seed"].isna()], found, estimator).set_index(keys)
        for estimator in (ESTIMATOR, PAPER)
    )
    header = [*keys, "ρ", "ρ, paper estimator", "published ρ", "published of", *MEASURES]
    return header, [
        [
            *key[:3], f"{key[3]:g}", mark(number(row["rho"]), row["flagged"]),
            mark(number(paper["rho"][key]), paper["flagged"][key]),
            number(paper["published_mean"][key]), paper["published_source"][key].removeprefix("published, "),
            *map(short, row[list(MEASURES)]),
        ]
        for key, row in ours.iterrows()
    ]  # fmt: skip


def _chosen(table: pd.DataFrame, found: Mapping[str, pd.DataFrame], estimator: str = ESTIMATOR) -> pd.DataFrame:
    """The rows of the main attack, corrected, by one estimator."""
    columns = ["attack", "variant", "estimator"]
    return table[(table[columns] == [_main_attack(found), CORRECTED, estimator]).all(axis=1)]


def _over_seeds(found: Mapping[str, pd.DataFrame]) -> str:
    return mean_over_seeds(found["rho"]["seed"].nunique())


def _main_attack(found: Mapping[str, pd.DataFrame]) -> str:
    return main_attack(set(found["distances"]["attack"]))
