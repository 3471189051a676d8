"""What the near-duplicates sweep hands over: tables (CSV and HDF5), figures (PNG and PDF), the report."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from lib.reporting import frames, writer
from lib.reporting.cells import TextTable, percent, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.corpus import figures, findings
from lib.studies.corpus.tables import SlimpajamaData, make

METHODS = {
    "Windows": "A window lies inside one document. Windows of different chunks, or documents, never overlap.",
    "Targets": "Sampled uniformly among the groups of exact duplicates of one chunk whose count over all chunks lies "
    "in the bucket; at most one from a region; with enough different tokens. Random ones are uniform over all windows.",
    "Near-duplicates": "Windows of the target's length whose multiset of tokens shares at least length - distance with "
    "the target's, at that Hamming or Levenshtein distance of the whole window; greedily non-overlapping, the least "
    "distance first, then the lowest position. k insertions cost about 2k in a window of fixed length.",
    "Means": "Over the targets of a bucket, those without any near-duplicate included; bands are one standard error. "
    "Exact copies (distance 0, the target itself among them) count only in the columns named with_exact.",
    "Deduplication": "A near-duplicate survives n-gram deduplication iff it shares no run of n tokens with its target. "
    "Shares are over all near-duplicates of a bucket at distance 1 and above; empty where there is none.",
}
MEANS = "Mean near-duplicates up to a distance, exact copies not counted."
CUMULATIVE = (
    "Mean over targets, bands of one standard error; exact copies are not counted. A line begins where its mean is "
    "above 0."
)
AGAINST = (
    "The same means by both metrics. A window near by Hamming distance is at least as near by Levenshtein distance; "
    "still the greedy choice among overlapping windows may keep another."
)


def write(root: Path, name: str, data: SlimpajamaData, description: Description) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name.

    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(data)
    results = Results(
        found, draw(found), _shown(found), findings.in_words(data, found), findings.warnings(data), METHODS
    )
    writer.write(root, name, results, description)
    return found


def draw(found: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """Every figure that the tables allow, with its title and caption."""
    cumulative = found["cumulative"]
    drawn = [
        Drawn("cumulative", "Near-duplicates by distance", CUMULATIVE, figures.cumulative_figure(cumulative)),
        Drawn("metrics", "Hamming against Levenshtein", AGAINST, figures.metrics_figure(cumulative)),
    ]
    if "survival" in found:
        caption = (
            "Share of the near-duplicates (exact copies not counted) that have no n-gram in common with their target."
        )
        drawn.append(
            Drawn("survival", "What n-gram deduplication leaves", caption, figures.survival_figure(found["survival"]))
        )
    if "exact" in found and len(found["exact"]):
        caption = "Groups of equal windows inside one chunk by the number of their members. Log axes."
        drawn.append(Drawn("exact", "Exact duplicates", caption, figures.exact_figure(found["exact"])))
    return drawn


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: mean near-duplicates by distance, a row for each bucket and metric. Returns (header, rows)."""
    return _pivot(found["cumulative"], "distance", "mean", "≤ ", short)


def _shown(found: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    ratios = _pivot(found["metrics"].assign(metric="ratio"), "distance", "ratio", "≤ ", short)
    listed = [
        report_table("targets", "Targets by bucket (0: random).", _whole(found["targets"]), found["targets"]),
        report_table("cumulative", f"{MEANS} All rows:", summary(found), found["cumulative"]),
        report_table("metrics", "Levenshtein over Hamming up to a distance. All rows:", ratios, found["metrics"]),
    ]
    if "survival" in found:
        rows = _pivot(found["survival"], "n", "share", "n = ", percent)
        listed.append(
            report_table("survival", "Share that survives n-gram deduplication. All rows:", rows, found["survival"])
        )
    if "exact" in found:
        listed.append(
            report_table("exact", "Groups of exact duplicates by size, of every chunk:", ([], []), found["exact"])
        )
    return listed


def _pivot(table: pd.DataFrame, across: str, value: str, prefix: str, spell: Callable[[float], str]) -> TextTable:
    """A row for each bucket and metric, a column for every tenth value of `across`."""
    shown = findings.rounded(sorted(int(step) for step in set(table[across]) if step))
    header = ["targets", "metric", *(f"{prefix}{step}" for step in shown)]
    rows = []
    for (bucket, metric), group in table.groupby(["bucket", "metric"], sort=False):
        values = group.set_index(across)[value]
        rows.append([figures.label_of(int(bucket)), metric, *(spell(values[step]) for step in shown)])
    return header, rows


def _whole(table: pd.DataFrame) -> TextTable:
    lines = frames.to_csv(table).splitlines()
    return lines[0].split(","), [line.split(",") for line in lines[1:]]
