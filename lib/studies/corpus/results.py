"""The results of the slimpajama sweep: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lib.reporting import writer
from lib.reporting.cells import TextTable, percent_interval, short, with_error
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.corpus import figures, findings
from lib.studies.corpus.tables import SlimpajamaData, make

METHODS = {
    "Windows": "A window lies inside one document. Windows of different chunks or documents never overlap.",
    "Targets": "Targets are sampled uniformly from the groups of exact duplicates whose count over all chunks lies in "
    "the bucket: groups of all chunks at once (method hash), or of one chunk (suffix_array). At most one is taken from "
    "a region, and it must have enough different tokens. Random targets are uniform over all windows.",
    "Near-duplicates": "Windows of the target's length that share a multiset of at least length - distance tokens with "
    "it and have that Hamming or Levenshtein distance from it as a whole. They are chosen greedily without overlap: "
    "the least distance first, then the lowest position. k insertions cost about 2k in a window of fixed length.",
    "Means": "Over all targets of a bucket, including those without any near-duplicate. Bands are one standard error. "
    "Exact copies (distance 0, including the target itself) count only in the columns named with_exact.",
    "Exposure": "The copies' worth of a target: its exact copies, and each near-duplicate (within the largest "
    "distance, none overlapping another) as ρ of its Levenshtein distance as a share of the window. ρ is linear "
    "between the levels at which it was measured; from 1 at distance 0 to the first level, and from the last one to 0 "
    "where nothing is equal. Windows further away than the largest distance are not counted. lower, upper: with the "
    "95 % interval of ρ.",
    "Deduplication": "A near-duplicate survives n-gram deduplication if it shares no run of n tokens with its target. "
    "Shares are over all near-duplicates of a bucket at distance 1 and above, and empty where there are none. Their "
    "intervals are 95 % bootstrap over targets: a target is drawn with all of its near-duplicates, because these are "
    "alike. One target, or all surviving, or none, gives no interval.",
}
TARGETS = (
    "Targets by bucket: how many, their exact copies, near-duplicates found by each metric (without exact copies), and "
    "targets without any by Levenshtein distance. All rows:"
)
MEANS = "Mean near-duplicates up to a distance ± one standard error over targets, without exact copies."
CUMULATIVE = (
    "Mean over targets, with bands of one standard error, without exact copies. A line begins where its mean is above "
    "0."
)
METRICS = (
    "The same means by both metrics. The Levenshtein distance of a window is never above its Hamming distance. Still, "
    "the greedy choice among overlapping windows may keep another one."
)
SURVIVAL = (
    "Share of the near-duplicates (without exact copies) that have no n-gram in common with their target, with "
    "bands of 95 % (bootstrap over targets)."
)
EXPOSURE = (
    "Exact copies of each target (itself among them), and what its near-duplicates within the distance add to them, by "
    "Levenshtein distance; large: medians of a bucket. On the grey line near-duplicates add nothing."
)
EXACT = "Groups of equal windows, in all scanned chunks or inside one, by the number of their members, on log axes."


def write(root: Path, name: str, data: SlimpajamaData, description: Description) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name.

    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(data)
    sentences, warnings = findings.in_words(data, found), findings.warnings(data)
    results = Results(found, draw(found), shown(found), sentences, warnings, METHODS)
    writer.write(root, name, results, description)
    return found


def draw(found: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """Every figure that the tables allow, with its title and caption."""
    cumulative = found["cumulative"]
    drawn = [
        Drawn("cumulative", "Near-duplicates by distance", CUMULATIVE, figures.cumulative_figure(cumulative)),
        Drawn("metrics", "Hamming against Levenshtein", METRICS, figures.metrics_figure(cumulative)),
    ]
    if "survival" in found:
        figure = figures.survival_figure(found["survival"])
        drawn.append(Drawn("survival", "What n-gram deduplication leaves", SURVIVAL, figure))
    if "exposure" in found:
        figure = figures.exposure_figure(found["exposure"])
        said = " ".join(findings.exposed(found["exposure"]))
        drawn.append(Drawn("exposure", "Exact copies and exposure", EXPOSURE, figure, said))
    if "exact" in found and len(found["exact"]):
        figure = figures.exact_figure(found["exact"])
        drawn.append(Drawn("exact", "Exact duplicates", EXACT, figure, _groups(found["exact"])))
    return drawn


def _groups(exact: pd.DataFrame) -> str:
    """How many groups of exact duplicates there are, and the largest, in a sentence."""
    return f"{exact['groups'].sum():,} groups of equal windows; the largest has {exact['count'].max():,} members."


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: mean near-duplicates by distance and standard errors, a row for each bucket and metric."""
    cumulative = found["cumulative"]
    pairs = zip(cumulative["mean"], cumulative["standard_error"])
    means = cumulative.assign(mean=[with_error(*pair) for pair in pairs])
    return _pivot(means, "distance", "mean", "≤ ", str)


def shown(found: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """What the report shows of the tables."""
    ratios = _pivot(found["metrics"].assign(metric="ratio"), "distance", "ratio", "≤ ", short)
    listed = [
        report_table("targets", TARGETS, _targets(found["targets"]), found["targets"]),
        report_table("cumulative", f"{MEANS} All rows:", summary(found), found["cumulative"]),
        report_table("metrics", "Levenshtein over Hamming up to a distance. All rows:", ratios, found["metrics"]),
    ]
    if "survival" in found:
        caption = "Share that survives n-gram deduplication, with 95 % intervals (bootstrap over targets). All rows:"
        columns = (found["survival"][name] for name in ("share", "low", "high"))
        spelled = found["survival"].assign(share=[percent_interval(*values) for values in zip(*columns)])
        shares = _pivot(spelled, "n", "share", "n = ", str)
        listed.append(report_table("survival", caption, shares, found["survival"]))
    if "exposure" in found:
        caption = "Medians of targets: exact copies, near-duplicates, and both in copies' worth. All targets:"
        listed.append(report_table("exposure", caption, _exposure(found["exposure"]), found["exposure"]))
    if "exact" in found:
        caption = "Groups of exact duplicates by size, of single chunks or of all that were scanned (all):"
        listed.append(report_table("exact", caption, ([], []), found["exact"]))
    return listed


def _pivot(table: pd.DataFrame, across: str, value: str, prefix: str, spell: Callable[[Any], str]) -> TextTable:
    """A row for each bucket and metric, a column for every tenth value of `across`, the first and the last."""
    steps = _rounded(sorted(int(step) for step in set(table[across]) if step))
    header = ["targets", "metric", *(f"{prefix}{step}" for step in steps)]
    rows = []
    for (bucket, metric), group in table.groupby(["bucket", "metric"], sort=False):
        values = group.set_index(across)[value]
        rows.append([figures.label_of(int(bucket)), metric, *(spell(values[step]) for step in steps)])
    return header, rows


def _exposure(table: pd.DataFrame) -> TextTable:
    """Medians over the targets of each bucket."""
    names = ["exact", "near", "exposure", "low", "high"]
    medians = table.groupby("bucket", sort=False)[names].median()
    header = ["targets", "exact copies", "near-duplicates", "copies' worth", "lower", "upper"]
    return header, [
        [figures.label_of(int(bucket)), *map(short, row)] for bucket, row in zip(medians.index, medians.values)
    ]


def _targets(table: pd.DataFrame) -> TextTable:
    """A row for each bucket."""
    header = [
        "targets",
        "how many",
        "least copies",
        "mean",
        "most copies",
        "near, by Hamming",
        "near, by Levenshtein",
        "without near, by Levenshtein",
    ]
    return header, [
        [figures.label_of(row.bucket), f"{row.n_targets:,}", f"{row.min_count:,}", short(row.mean_count),
         *(f"{n:,}" for n in (row.max_count, row.n_hamming, row.n_levenshtein, row.without_levenshtein))]
        for row in table.itertuples()
    ]  # fmt: skip


def _rounded(steps: Sequence[int]) -> list[int]:
    """The first step, multiples of ten, and the last one."""
    return [step for step in steps if step in (steps[0], steps[-1]) or step % 10 == 0]
