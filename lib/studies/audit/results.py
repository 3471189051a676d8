"""The results of an audit: tables (CSV, HDF5), the figure and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib.reporting import writer
from lib.reporting.cells import TextTable, interval, number, p_value, percent, percent_interval, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.audit import figures, findings, heat, tables
from lib.studies.audit.reading import Audited

MOST_TEXTS = 200  # of the table of texts in the report
METHODS = {
    "Windows": "A window of prompt and suffix slides through each text, and the model reads each window once. The "
    "first prompt of a text is in no suffix. Only text in a suffix is examined.",
    "p_z": "The probability that one sample continues the prompt with the whole suffix, token for token, by sampling "
    "at temperature 1 from the k likeliest tokens: the product over the suffix of the probability of each true token, "
    "given those before it (Hayes et al. 2024; Cooper et al. 2025). It is 0 if a token is not among the k likeliest.",
    "Spans": "Suffixes of windows whose p_z reaches the threshold are extracted. Those that overlap or touch are one "
    "span; covered is the share of the examined tokens that lie in spans.",
    "Greedy": "A window is continued greedily where each true token is the likeliest one in the same pass. Nothing is "
    "generated.",
    "samples": f"How many samples hold the suffix of the text's likeliest window with a probability of {tables.P:g}: "
    "ln(1 - p) / ln(1 - p_z).",
    "Control texts": "Text may be likely because it is easy. Texts of the same kind that the model cannot have read "
    "show how easy. p is of the permutation test over documents (a group, or a text without one), one-sided: windows "
    "of one text are not independent. Intervals are of the bootstrap over documents, those of shares of windows "
    "Wilson's with the document as the unit. The bag of words is a logistic regression on the tokens that occur, "
    "cross-validated.",
    "Membership": "loss is the mean log-probability of a token of all suffixes of a text, min_k that of the least "
    "likely 20 %. Where texts are labelled, AUC is the chance that a member scores above another text; DeLong's p "
    "compares a score with the loss.",
}


def write(
    root: Path, name: str, found: Sequence[Audited], description: Description, show_texts: bool = True
) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name. The same arguments give the same
    bytes. show_texts: whether texts stand in the report and in the table `texts`."""
    made = tables.make(found, show_texts)
    results = Results(made, draw(made), shown(made), findings.in_words(made), findings.warnings(found, made), METHODS)
    maps = list(heat.make(found)) if show_texts else []
    writer.write(root, name, results, replace(description, heat_maps=maps))
    return made


def draw(made: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """The figure, with its title and caption."""
    caption = "The share of windows whose p_z (top-k sampling at temperature 1) is at least the value on the axis."
    return [Drawn("curve", "Windows by p_z", caption, figures.curve_figure(made["curve"]))]


def summary(made: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: what is extracted at each threshold, by model and collection."""
    header = ["model", "texts", "p_z", "windows", "extracted", "share of windows", "tokens covered", "longest span"]
    return header, [
        [
            row.model,
            row.collection,
            f"{row.threshold:g}",
            f"{row.windows:,.0f}",
            f"{row.extracted:,.0f}",
            percent_interval(row.share, row.low, row.high),
            percent(row.covered),
            f"{row.longest_tokens:,.0f} tokens",
        ]
        for row in made["thresholds"].itertuples()
    ]


def shown(made: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """What the report shows of the tables."""
    texts = made["texts"]
    more = f" The first {MOST_TEXTS} of {len(texts):,};" if len(texts) > MOST_TEXTS else ""
    listed = [
        report_table(
            "thresholds", "What is extracted, by threshold of p_z. All rows:", summary(made), made["thresholds"]
        ),
        report_table("texts", f"Texts, the most covered first.{more} All rows:", _texts(texts[:MOST_TEXTS]), texts),
    ]
    if len(made["controls"]):
        caption = "Texts against control texts, by permutation of documents. All rows:"
        listed.append(report_table("controls", caption, _controls(made["controls"]), made["controls"]))
    if len(made["bag_of_words"]):
        caption = "What a bag of words tells of texts and control texts, without any model (AUC). All rows:"
        listed.append(report_table("bag_of_words", caption, _bag(made["bag_of_words"]), made["bag_of_words"]))
    if len(made["membership"]):
        caption = "Labelled members against the others. All rows:"
        listed.append(report_table("membership", caption, _membership(made["membership"]), made["membership"]))
    return listed


def _texts(table: pd.DataFrame) -> TextTable:
    measures = ["covered", "longest span, words", "greedy windows", "largest p_z", "log-probability"]
    header = ["model", "texts", "name", "label", "tokens", "windows", *measures]
    return header, [
        [
            row.model,
            row.collection,
            row.name,
            row.label,
            f"{row.tokens:,.0f}",
            f"{row.windows:,.0f}",
            percent(row.covered),
            _count(row.span_words),
            _count(row.greedy_windows),
            short(row.largest_p_z),
            number(row.loss),
        ]
        for row in table.itertuples(index=False)
    ]


def _count(value: float) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"


def _controls(table: pd.DataFrame) -> TextTable:
    header = ["model", "texts", "statistic", "texts' mean", "controls' mean", "difference", "95 % interval", "p"]
    return header, [
        [
            row.model,
            row.collection,
            row.statistic,
            number(row.value),
            number(row.control),
            number(row.difference),
            interval(row.low, row.high),
            p_value(row.p_value),
        ]
        for row in table.itertuples()
    ]


def _bag(table: pd.DataFrame) -> TextTable:
    once = table.drop_duplicates("collection")
    return ["texts", "documents", "control documents", "AUC", "95 % interval"], [
        [row.collection, f"{row.units:.0f}", f"{row.control_units:.0f}", number(row.auc), interval(row.low, row.high)]
        for row in once.itertuples()
    ]


def _membership(table: pd.DataFrame) -> TextTable:
    at_fpr = ["TPR at FPR 0.1", "TPR at FPR 0.01"]
    header = ["model", "texts", "score", "members", "others", "AUC", "95 % interval", *at_fpr, "p against loss"]
    rates = ("tpr_at_fpr_0.1", "tpr_at_fpr_0.01")
    return header, [
        [
            row["model"],
            row["collection"],
            row["attack"],
            f"{row['n_members']:,}",
            f"{row['n_non_members']:,.0f}",
            number(row["auc"]),
            interval(row["low"], row["high"]),
            *(number(row[rate]) for rate in rates),
            p_value(row["delong_p"]),
        ]
        for _, row in table.iterrows()
    ]
