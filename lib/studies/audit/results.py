"""The results of an audit: tables (CSV, HDF5), the figure and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lib.reporting import writer
from lib.reporting.cells import TextTable, interval, number, p_value, percent, percent_interval, short
from lib.reporting.page import ReportTable, report_table
from lib.reporting.writer import Description, Drawn, Results
from lib.studies.audit import figures, findings, head, heat, side_by_side, tables
from lib.studies.audit.reading import Audited, without_names

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
    "Wilson's with the document as the unit; where no window is extracted, the upper end is 1 - 0.05^(1/n) for n "
    "documents, about 3/n, since nothing is known of how the windows of one document go together. An upper end is "
    "never above that of a lower threshold. The bag of words is a logistic regression on the tokens that occur, "
    "cross-validated.",
    "Documents": "Each document is compared with the control texts: by permutation of its texts and these, or, where "
    "it has one text or the control texts have groups, by its place among the control documents. p is one-sided, and "
    "corrected over the documents of a collection by Holm's method.",
    "Reference model": "It reads the text of the same windows in its own tokens; a token across the end of the prompt "
    "is prompt. Tokenizers differ, so log-probabilities are compared per byte of UTF-8. The interval of a text is of "
    "the bootstrap over runs of windows that do not overlap with the next run.",
    "Fuzzy duplicates": "Some windows of each text, chosen by a hash of their tokens, are scored again with R tokens "
    "of the suffix replaced. AUC is the share of these duplicates that are less likely than the window, its interval "
    "of the bootstrap over documents. With a reference model there is a second measure: ln p of the window less that "
    "of the duplicate, less the same difference under the reference. p against the control texts is of the "
    "permutation test over documents, one-sided; it is the one to go by. The rank is that of the window among itself "
    "and its duplicates for one R, 1 = likeliest, ties against it; its p is of the exact law of the sum of ranks, "
    "under the null hypothesis that each place is as likely, for every window apart. That hypothesis is wrong for "
    "text that nobody has read as well: tokens that a language model proposes may be likelier than those of the text, "
    "random ones are less likely, and less the reference's the text lies amid its duplicates. p by Holm is corrected "
    "over the measures and R of a collection, or over its texts.",
    "Membership": "loss is the mean log-probability of a token of all suffixes of a text, min_k that of the least "
    "likely 20 %, min_k_plus_plus the same of standardised log-probabilities, zlib_bits the bits that the model needs "
    "for a bit that zlib needs, ratio the loss less the reference's, per token of each. Where texts are labelled, AUC "
    "is the chance that a member scores above another text; p is of the Mann-Whitney test, one-sided, DeLong's p "
    "compares a score with the loss, and both are corrected for the number of scores by Holm's method. With fewer "
    "than 100 others, TPR at FPR 0.01 is the rate without any false positive.",
}


def write(
    root: Path,
    name: str,
    found: Sequence[Audited],
    description: Description,
    show_texts: bool = True,
    most_texts: int = 0,
) -> dict[str, pd.DataFrame]:
    """Write the results of sweep `name` under `root`; returns its tables by name. The same arguments give the same
    bytes. show_texts: whether texts and their names stand in the report and in tables, or numbers; most_texts: how many
    of a collection were read at most, 0 for all."""
    found = found if show_texts else [without_names(one) for one in found]
    made = tables.make(found, show_texts)
    warned = findings.warnings(found, made, most_texts)
    said = [*head.sentences(made, found[0].cut), *findings.in_words(made)]
    listed = [*shown(made), *side_by_side.tables(found, MOST_TEXTS)]
    results = Results(made, draw(made), listed, said, warned, {**METHODS, **_layouts(found)})
    maps = list(heat.make(found)) if show_texts else []
    writer.write(root, name, results, replace(description, heat_maps=maps))
    return made


def _layouts(found: Sequence[Audited]) -> dict[str, str]:
    """What the methods say of data sets whose columns were recognised."""
    layouts = {one.collection: one.texts.layout for one in found if one.texts.layout}
    said = "; ".join(f"{collection} by those of {layout}" for collection, layout in layouts.items())
    return {"Columns": f"No column was named, and known ones were found: {said}."} if said else {}


def draw(made: Mapping[str, pd.DataFrame]) -> list[Drawn]:
    """The figures, with their titles and captions."""
    caption = "The share of windows whose p_z (top-k sampling at temperature 1) is at least the value on the axis."
    drawn = [Drawn("curve", "Windows by p_z", caption, figures.curve_figure(made["curve"]))]
    if len(made.get("fuzzy", ())):
        caption = (
            "How often a window is likelier than its own fuzzy duplicates, by the number of replaced tokens, with "
            "95 % intervals over documents; 0.5 is no preference."
        )
        drawn.append(
            Drawn("fuzzy", "Texts against their fuzzy duplicates", caption, figures.fuzzy_figure(made["fuzzy"]))
        )
    return drawn


def summary(made: Mapping[str, pd.DataFrame]) -> TextTable:
    """The closing table: what is extracted at each threshold, by model and collection."""
    windows = ["windows", "documents", "extracted", "share of windows"]
    header = ["model", "texts", "p_z", *windows, "tokens covered", "longest span"]
    return header, [
        [
            row.model,
            row.collection,
            f"{row.threshold:g}",
            f"{row.windows:,.0f}",
            f"{row.documents:,.0f}",
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
    first = texts.sort_values(["covered", "largest_p_z", "loss"], ascending=False, kind="stable")[:MOST_TEXTS]
    more = f" The first {MOST_TEXTS} of {len(texts):,};" if len(texts) > MOST_TEXTS else ""
    ordered = f"Texts, the most covered first, then those with the largest p_z.{more} All rows:"
    extracted = (
        "What is extracted, by threshold of p_z. Intervals of the share are 95 %, over documents: windows of one "
        "document go together, so few documents say little, however many windows they have. All rows:"
    )
    listed = [
        report_table("thresholds", extracted, summary(made), made["thresholds"]),
        report_table("texts", ordered, _texts(first), texts),
    ]
    if len(made["controls"]):
        caption = "Texts against control texts, by permutation of documents. All rows:"
        listed.append(report_table("controls", caption, _controls(made["controls"]), made["controls"]))
    if len(made["documents"]):
        caption = "Each document against control texts, the smallest p first. All rows:"
        listed.append(report_table("documents", caption, _documents(made["documents"][:MOST_TEXTS]), made["documents"]))
    listed += _fuzzy(made)
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


def _documents(table: pd.DataFrame) -> TextTable:
    header = ["model", "texts", "statistic", "document", "its texts", "mean", "controls' mean", "p", "p by Holm"]
    return header, [
        [
            row.model,
            row.collection,
            row.statistic,
            row.name,
            f"{row.texts:,.0f}",
            number(row.value),
            number(row.control),
            p_value(row.p_value),
            p_value(row.p_holm),
        ]
        for row in table.itertuples(index=False)
    ]


def _fuzzy(made: Mapping[str, pd.DataFrame]) -> list[ReportTable]:
    """The tables of fuzzy duplicates, if some were scored."""
    if "fuzzy" not in made:
        return []
    whole, single = made["fuzzy"], made["fuzzy_texts"]
    caption = "Windows against their own fuzzy duplicates, by number of replaced tokens. All rows:"
    more = f" The first {MOST_TEXTS} of {len(single):,};" if len(single) > MOST_TEXTS else ""
    of_texts = f"The same for each text.{more} All rows:"
    return [
        report_table("fuzzy", caption, _fuzzy_collections(whole), whole),
        report_table("fuzzy_texts", of_texts, _fuzzy_texts(single[:MOST_TEXTS]), single),
    ]


def _fuzzy_collections(table: pd.DataFrame) -> TextTable:
    ranks = ["windows", "mean rank", "first", "p", "p by Holm"]
    header = [
        "model",
        "texts",
        "measure",
        "R",
        *ranks,
        "AUC",
        "95 % interval",
        "controls' AUC",
        "p against controls, by Holm",
    ]
    return header, [
        [
            row.model,
            row.collection,
            row.measure,
            f"{row.replaced:.0f}",
            *_ranks(row),
            number(row.auc),
            interval(row.low, row.high),
            number(row.control),
            p_value(row.p_controls_holm),
        ]
        for row in table.itertuples(index=False)
    ]


def _fuzzy_texts(table: pd.DataFrame) -> TextTable:
    header = ["model", "texts", "measure", "R", "name", "windows", "mean rank", "first", "p", "p by Holm"]
    return header, [
        [row.model, row.collection, row.measure, f"{row.replaced:.0f}", row.name, *_ranks(row)]
        for row in table.itertuples(index=False)
    ]


def _ranks(row: Any) -> list[str]:
    first = percent(row.first)
    return [f"{row.windows:,.0f}", short(row.mean_rank), first, p_value(row.p_value), p_value(row.p_holm)]


def _bag(table: pd.DataFrame) -> TextTable:
    once = table.drop_duplicates("collection")
    return ["texts", "documents", "control documents", "AUC", "95 % interval"], [
        [row.collection, f"{row.units:.0f}", f"{row.control_units:.0f}", number(row.auc), interval(row.low, row.high)]
        for row in once.itertuples()
    ]


def _membership(table: pd.DataFrame) -> TextTable:
    at_fpr = ["TPR at FPR 0.1", "TPR at FPR 0.01"]
    ps = ["p by Holm", "p against loss by Holm"]
    header = ["model", "texts", "score", "members", "others", "AUC", "95 % interval", *at_fpr, *ps]
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
            p_value(row["p_holm"]),
            p_value(row["delong_p_holm"]),
        ]
        for _, row in table.iterrows()
    ]
