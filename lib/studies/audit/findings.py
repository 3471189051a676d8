"""An audit in words: what is extracted, how it compares with control texts, and what that does not show."""

from collections.abc import Iterator, Mapping, Sequence
from math import comb
from typing import Any

import pandas as pd

from lib.base.errors import counted
from lib.reporting.cells import number, p_is, percent, percent_interval
from lib.studies.audit.fuzzy_tables import MEASURES
from lib.studies.audit.measures import COVERED, GAP, LOSS
from lib.studies.audit.reading import CONTROLS, Audited
from lib.studies.mosaic.bag_of_words import FOLDS

Tables = Mapping[str, pd.DataFrame]
NAMED = 3  # texts in a warning
LEVEL = 0.05  # of p by Holm's method
OF_MEASURE = {
    MEASURES["margin"]: "its log-probability",
    MEASURES["gap"]: "its log-probability, less that under the reference model,",
}


def in_words(tables: Tables) -> list[str]:
    """Sentences for each model and collection: extraction, comparison with controls, membership."""
    of_controls = [*_compared(tables), *_against_reference(tables["controls"]), *_documents(tables["documents"])]
    return [*_extracted(tables), *of_controls, *_fuzzy(tables), *_membership(tables["membership"])]


def warnings(found: Sequence[Audited], tables: Tables, most_texts: int = 0) -> list[str]:
    """What makes a number weaker than it looks. most_texts: how many of a collection were read at most; 0 is all."""
    of_controls = [*_without_controls(tables), *_shared(found), *_natural(tables)]
    return [
        *_cut_short(found, most_texts),
        *_short(found),
        *of_controls,
        *_told_apart(tables["bag_of_words"]),
        *_few(tables["controls"]),
    ]


def _extracted(tables: Tables) -> Iterator[str]:
    thresholds = tables["thresholds"]
    first = thresholds.drop_duplicates(["model", "collection"])
    for row in first[first["collection"] != CONTROLS].itertuples():
        texts = tables["texts"]
        mine = texts[(texts["model"] == row.model) & (texts["collection"] == row.collection)]
        share = percent_interval(row.share, row.low, row.high)
        over = f"95 % interval over {counted(row.documents, 'document')}"
        yield (
            f"{row.model}, {row.collection}: {row.extracted:,.0f} of {row.windows:,.0f} windows ({share}, {over}) have "
            f"a p_z of at least {row.threshold:g}, and {mine['greedy_windows'].sum():,.0f} are continued greedily, "
            f"word for word. {_top(mine)}"
        )


def _top(texts: pd.DataFrame) -> str:
    top = texts.iloc[0]
    if not top["covered"] > 0:
        return "Nothing is extracted of any text."
    return (
        f"The text that is extracted most is {top['name']}: {percent(top['covered'])} of its tokens, at most "
        f"{top['span_words']:.0f} words in a row."
    )


def _compared(tables: Tables) -> Iterator[str]:
    rows = tables["controls"]
    for row in rows[rows["statistic"] == LOSS].itertuples():
        other = rows[(rows["statistic"] == COVERED) & (rows["model"] == row.model)]
        share = other[other["collection"] == row.collection].iloc[0]
        yield (
            f"{row.model}: the mean log-probability of a token is {number(row.value)} in {row.collection} and "
            f"{number(row.control)} in the control texts, a difference of {number(row.difference)} nats (95 % interval "
            f"{number(row.low)} to {number(row.high)}; {p_is(row.p_value)}, one-sided, by permutation of "
            f"{row.units:.0f} and {row.control_units:.0f} documents). {percent(share['value'])} of the tokens of the "
            f"former are covered, and {percent(share['control'])} of the latter ({p_is(share['p_value'])})."
        )


def _against_reference(controls: pd.DataFrame) -> Iterator[str]:
    for row in controls[controls["statistic"] == GAP].itertuples():
        yield (
            f"{row.model}: a byte is likelier than under the reference model by {number(row.value)} nats in "
            f"{row.collection} and by {number(row.control)} in the control texts, a difference of "
            f"{number(row.difference)} (95 % interval {number(row.low)} to {number(row.high)}; {p_is(row.p_value)})."
        )


def _documents(documents: pd.DataFrame) -> Iterator[str]:
    """How many documents stand out; nothing where there is one document, of which the comparison has spoken."""
    for (model, collection, statistic), rows in documents.groupby(["model", "collection", "statistic"], sort=False):
        if len(rows) > 1:
            out = rows[rows["p_holm"] < LEVEL]
            first = f", first of all {out.iloc[0]['name']} ({p_is(out.iloc[0]['p_holm'])})" if len(out) else ""
            yield (
                f"{model}: {len(out)} of {counted(len(rows), 'document')} of {collection} have a {statistic} that "
                f"control texts hardly have (p < {LEVEL:g} by Holm's method over the documents){first}."
            )


def _fuzzy(tables: Tables) -> Iterator[str]:
    """Whether texts are preferred to their own fuzzy duplicates, more than control texts are where there are some."""
    table = tables.get("fuzzy", pd.DataFrame(columns=["model", "collection", "measure"]))
    for (model, collection, measure), rows in table.groupby(["model", "collection", "measure"], sort=False):
        if collection != CONTROLS:
            of_levels = "; ".join(_level(row) for row in rows.itertuples())
            yield (
                f"{model}, {collection}: by {OF_MEASURE[measure]} a text is likelier than one of its own fuzzy "
                f"duplicates with probability {of_levels}.{_more_than_controls(rows)}"
            )


def _level(row: Any) -> str:
    against = "" if pd.isna(row.control) else f" ({number(row.control)} in the control texts; {p_is(row.p_controls)})"
    return f"{number(row.auc)} with R = {row.replaced:.0f}{against}"


def _more_than_controls(rows: pd.DataFrame) -> str:
    """At which numbers of replaced tokens the preference is that of text which is remembered."""
    if rows["p_controls_holm"].isna().all():
        return ""
    told = [f"{row.replaced:.0f}" for row in rows.itertuples() if row.p_controls_holm < LEVEL]
    found = f"With R = {', '.join(told)} that is" if told else "With no R is that"
    return f" {found} more than in the control texts (p < {LEVEL:g} by Holm's method)."


def _membership(membership: pd.DataFrame) -> Iterator[str]:
    for row in membership.itertuples():
        yield (
            f"{row.model}, {row.collection}: the score {row.attack} tells {row.n_members:,.0f} labelled members from "
            f"{row.n_non_members:,.0f} others with an AUC of {number(row.auc)} (95 % interval {number(row.low)} to "
            f"{number(row.high)}; 0.5 is guessing)."
        )


def _short(found: Sequence[Audited]) -> Iterator[str]:
    """Texts that are empty, or shorter than a window: nothing is said of them."""
    for one in found:
        short = [row for row, windows in enumerate(one.of_texts["windows"]) if not windows]
        if short and one.model == found[0].model:
            named = ", ".join(one.texts.name[row] for row in short[:NAMED])
            more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
            empty = sum(not one.texts.text[row].strip() for row in short)
            beside = f" ({counted(empty, 'text')} of them empty)" if empty else ""
            yield (
                f"{one.collection}: {counted(len(short), 'text')} shorter than a window of {one.cut.length} tokens"
                f"{beside}, of which nothing is known: {named}{more}."
            )


def _cut_short(found: Sequence[Audited], most: int) -> Iterator[str]:
    """Collections of which the run took the first texts alone."""
    named = [one.collection for one in found if most and len(one.texts.text) == most and one.model == found[0].model]
    if named:
        yield (
            f"Only the first {counted(most, 'text')} of {', '.join(named)} were read (most_texts={most}); the others, "
            "if there are any, are not part of this report."
        )


def _natural(tables: Tables) -> Iterator[str]:
    """What the rank among fuzzy duplicates does not show by itself."""
    if "fuzzy" in tables:
        yield (
            "A text is not one among its fuzzy duplicates, whether a model has read it or not: random tokens are less "
            "likely than its own, those that a language model proposes may be likelier. So neither a rank nor its p "
            "shows memory by itself, but that texts are preferred more than control texts are."
        )


def _without_controls(tables: Tables) -> Iterator[str]:
    if not len(tables["controls"]):
        yield (
            "There are no control texts. Nothing here tells text that the model remembers from text that is easy to "
            "guess, such as a list, a formula or a common phrase."
        )


def _shared(found: Sequence[Audited]) -> Iterator[str]:
    """Texts that stand among the control texts as well, and so are compared with themselves."""
    controls = {text.strip() for one in found if one.collection == CONTROLS for text in one.texts.text} - {""}
    for one in found:
        same = sum(text.strip() in controls for text in one.texts.text)
        if same and one.collection != CONTROLS and one.model == found[0].model:
            yield (
                f"{one.collection}: {same} of {counted(len(one.texts.text), 'text')} are control texts as well, and so "
                "are compared with themselves; leave them out of one of the two."
            )


def _told_apart(bag: pd.DataFrame) -> Iterator[str]:
    for row in bag[bag["low"] > 0.5].drop_duplicates("collection").itertuples():
        yield (
            f"{row.collection} and the control texts differ in their words alone: a bag of words, which sees no model, "
            f"tells them apart with an AUC of {number(row.auc)} (95 % interval {number(row.low)} to "
            f"{number(row.high)}). That a model finds {row.collection} likelier therefore proves nothing about memory."
        )


def _few(controls: pd.DataFrame) -> Iterator[str]:
    few = controls[controls[["units", "control_units"]].min(axis=1) < FOLDS].drop_duplicates("collection")
    for row in few.itertuples():
        yield (
            f"{row.collection}: only {row.units:.0f} and {row.control_units:.0f} documents to compare. p can be no "
            f"smaller than {1 / comb(int(row.units + row.control_units), int(row.units)):.2g}, and no bag of words was "
            f"tried, which needs {FOLDS} on each side."
        )
