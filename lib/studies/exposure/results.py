"""The results of the exposure sweep: tables (CSV, HDF5), figures (PNG, PDF) and the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from numpy.typing import NDArray

from lib.reporting import writer
from lib.reporting.cells import TextTable, interval, mark, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.exposure import figures, findings
from lib.studies.exposure.tables import EXACT, Passages, make

METHODS = {
    "Passages": "Tokens of one book from the beginning of a verse on. Every copy, exact or near, is a document of the "
    "training text. Which passage gets what is drawn anew for each seed, evenly; passages and the rest of the text "
    "stay. A near-duplicate has R tokens replaced by any of the vocabulary, or is as many tokens of another "
    "translation from the same verse on (the same ones in each copy).",
    "Gain": "Mean log-probability of the tokens of a suffix given the true tokens before, under the model that was "
    "trained on the copies, less that under a model trained on the same text without any passage.",
    "Worth": "The mean gain after exact copies alone is fitted by isotonic regression and inverted by straight lines: "
    "so many exact copies gain as much as a condition. Less its exact copies, and divided by its near-duplicates, that "
    "is what one of these counted as.",
    "Exposure": "Exact copies, and each near-duplicate as ρ of its Levenshtein distance as a share of the passage; ρ "
    "is linear between the levels at which it was measured, from 1 at distance 0 and to 0 at 1.",
    "Predictors": "spearman: rank correlation with the gain, or with the share of the suffix that greedy decoding "
    "repeats. r2: share of the variance that a straight line on ln(1 + predictor) explains. Differences are to exact "
    "copies, on the same draws.",
    "Intervals": "95 % percentile bootstrap over passages, of 1,000 draws; a passage is drawn with all of its seeds. "
    "Columns named seeds: the t interval over seeds.",
}
GAIN = (
    "Mean gain with 95 % intervals over passages. Where a number of copies says what a model remembers, all conditions "
    "lie on the line of exact copies."
)
WORTH = "What one near-duplicate counted as, with 95 % intervals over passages, beside the ρ that exposure rests on."
CLOSING = ("predictor", "spearman", "interval", "difference", "its interval")


def write(
    root: Path, name: str, seeds: Sequence[Passages], rhos: Mapping[str, tuple[NDArray, NDArray]],
    description: Description,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Write the results of sweep `name` under `root`; returns its tables by name. rhos: see figures.worth_figure.

    The same arguments give the same bytes. Raises TesseraError when a file cannot be written.
    """
    found = make(seeds)
    conditions, predictions = found["conditions"], found["predictions"]
    sentences = list(findings.in_words(conditions, predictions))
    warnings = list(findings.warnings(conditions, len(seeds)))
    drawn = [
        Drawn("gain", "Gain against copies and exposure", GAIN, figures.gain_figure(conditions)),
        Drawn("worth", "What a near-duplicate counts as", WORTH, figures.worth_figure(conditions, rhos)),
    ]
    writer.write(root, name, Results(found, drawn, shown(found), sentences, warnings, METHODS), description)
    return found


def summary(found: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: how well each number orders what all passages gained."""
    rows = found["predictions"]
    rows = rows[(rows["subset"] == "all") & (rows["measure"] == "gain")]
    return list(CLOSING), [
        [
            row.predictor, f"{row.spearman:.2f}", interval(row.low, row.high, 2),
            "" if pd.isna(row.difference) else f"{row.difference:+.2f}",
            interval(row.difference_low, row.difference_high, 2),
        ]
        for row in rows.itertuples()
    ]  # fmt: skip


def shown(found: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """What the report shows of the tables."""
    conditions, predictions = found["conditions"], found["predictions"]
    caption = "Means over the passages of a condition, with 95 % intervals over passages; worth of one near-duplicate:"
    explained = "How well each number predicts the gain, and the share of a suffix that is repeated:"
    return [
        report_table("conditions", caption, _conditions(conditions), conditions),
        report_table("predictions", explained, _predictions(predictions), predictions),
    ]


def _conditions(table: pd.DataFrame) -> TextTable:
    expected = [column for column in table if column.startswith("rho_")]
    header = ["near-duplicates", "exact", "near", "differ", "gain", "repeated", "log10 p_z", "worth", "interval"]
    clamped = table["clamped"].fillna(False).astype(bool)
    rows = [
        [
            "" if row["kind"] == EXACT else row["setting"] or f"R = {row['level']:g}",
            *(short(row[name]) for name in ("exact", "near", "share")),
            f"{row['gain']:.3f} {interval(row['low'], row['high'])}",
            *(short(row[name]) for name in ("matched", "log10_p")),
            mark(short(row["worth"]), flagged),
            interval(row["worth_low"], row["worth_high"], 2),
            *(short(row[name]) for name in expected),
        ]
        for row, flagged in zip(table.to_dict("records"), clamped)
    ]
    return [*header, *(f"ρ {name.removeprefix('rho_')}" for name in expected)], rows


def _predictions(table: pd.DataFrame) -> TextTable:
    header = ["passages", "of what", "predictor", "Spearman", "difference to exact copies", "explained variance"]
    columns = (
        ("spearman", "low", "high"),
        ("difference", "difference_low", "difference_high"),
        ("r2", "r2_low", "r2_high"),
    )
    return header, [
        [
            *(row[name] for name in ("subset", "measure", "predictor")),
            *(f"{short(row[one])} {interval(row[low], row[high], 2)}".strip() for one, low, high in columns),
        ]
        for row in table.to_dict("records")
    ]
