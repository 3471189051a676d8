"""The prefix study in words: what its figures show, and what a reader must know before quoting them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lib.reporting.cells import p_is, percent
from lib.studies.prefix.tables import ALL
from lib.studies.prefix.words import all_prompts, family_name, millions, named, overall, own_distribution, title_of

Tables = Mapping[str, pd.DataFrame]
FEW_PROMPTS = 100
NEAR_SIZE = 1.5  # models of two families are compared if one is at most this many times as large as the other
P, SAMPLES = 0.5, 1000  # of the extraction that a sentence is about
SIGNIFICANT = 0.05


def in_words(tables: Tables) -> list[str]:
    """Paragraphs: who repeats most; effects of size, draw, prompt length, repetition, type of text; sampling."""
    memorized = tables["memorized"]
    return [
        *_most(memorized),
        *_draws(memorized),
        *_families(tables["differences"]),
        *_lengths(memorized),
        *_repetitions(memorized),
        *_subsets(memorized),
        *_extraction(tables["extraction"]),
    ]


def warnings(tables: Tables) -> list[str]:
    """What makes a number weaker than it looks."""
    memorized = all_prompts(tables["memorized"])
    texts = []
    few = memorized[memorized["n_prompts"] < FEW_PROMPTS]
    if len(few):
        texts.append(f"Only {few['n_prompts'].min()} prompts for {_listed(few)}: the intervals are wide.")
    texts += [*_fewer(tables["memorized"]), *_one_document(memorized)]
    if not memorized["memorized"].any():
        several = memorized["model"].nunique() > 1
        no_more = "No model repeated any suffix whole, so that models cannot be compared."
        texts.append(no_more if several else "The model repeated no suffix whole.")
    return [*texts, *_copied(tables["scores"]), *_unpaired(memorized, tables["differences"])]


def _fewer(memorized: pd.DataFrame) -> Iterator[str]:
    """Corpora that gave fewer prompts than were asked for."""
    rows = overall(memorized)
    short = rows[rows["repetitions"].isna() & (rows["n_prompts"] < rows["asked"])]
    for (subset, found, asked), mine in short.groupby(["subset", "n_prompts", "asked"]):
        name = "All prompts" if subset == ALL else subset
        yield f"{name}: {found:,} of {asked:,} prompts asked for ({_listed(mine)}); the documents gave no more."


def _one_document(memorized: pd.DataFrame) -> Iterator[str]:
    alone = memorized[(memorized["n_documents"] == 1) & (memorized["n_prompts"] > 1)]
    if len(alone):
        yield (
            f"All prompts of {_listed(alone)} are of one document: intervals and tests are of that document alone, and "
            "say nothing of others."
        )


def _copied(scores: pd.DataFrame) -> Iterator[str]:
    rows = named(overall(scores))
    for row in rows[(rows["subset"] == ALL) & (rows["memorized_in_prompt"] > 0)].itertuples():
        yield (
            f"{row.model}, {row.title}: {row.memorized_in_prompt} of its memorized suffixes can be "
            f"copied from the prompt itself. Without such prompts its share is {percent(row.share_not_in_prompt)}."
        )


def _most(memorized: pd.DataFrame) -> Iterator[str]:
    for (_, _, title), rows in named(all_prompts(memorized)).groupby(["prompt_tokens", "decoding", "title"]):
        top = rows.loc[rows["share"].idxmax()]
        sizes = [_growth(str(family), mine) for family, mine in rows.groupby("family") if len(mine) > 1]
        verb = "repeats most:" if rows["model"].nunique() > 1 and top["memorized"] else "repeats"
        who = top["model"] if top["memorized"] or len(rows) == 1 else "every model"
        most = (
            f"With {title}, {who} {verb} {percent(top['share'])} of "
            f"{top['n_prompts']:,} suffixes whole (95 % interval {percent(top['low'])} to {percent(top['high'])})."
        )
        yield " ".join([most, *sizes])


def _growth(family: str, rows: pd.DataFrame) -> str:
    """How the share changes from the smallest to the largest model of a family."""
    rows = rows.sort_values("n_parameters")
    small, large = rows.iloc[0], rows.iloc[-1]
    return (
        f"{family_name(family)}: {percent(small['share'])} with {_size(small)}, {percent(large['share'])} with "
        f"{_size(large)}."
    )


def _families(differences: pd.DataFrame) -> Iterator[str]:
    """Pairs of models of two families and about the same size, on the same prompts."""
    rows = named(overall(differences))
    for row in rows[rows["subset"] == ALL].itertuples():
        ratio = row.n_parameters / row.other_n_parameters
        if row.family == row.other_family or not 1 / NEAR_SIZE <= ratio <= NEAR_SIZE:
            continue
        verdict = "a difference" if row.p_value < SIGNIFICANT else "no clear difference"
        yield (
            f"On the same {row.n_prompts:,} {row.title}, {row.model} repeats {row.memorized} "
            f"suffixes and {row.other_model} {row.other_memorized}, with {row.only_model} repeated only by the "
            f"former and {row.only_other} only by the latter: {verdict} "
            f"({_test(row)}, {p_is(row.p_value)})."
        )


def _draws(memorized: pd.DataFrame) -> Iterator[str]:
    """How far the share depends on which prompts were drawn."""
    rows = named(all_prompts(memorized))
    for row in rows[(rows["n_draws"] > 1) & (rows["draws_low"] < rows["draws_high"])].itertuples():
        yield (
            f"{row.who}, {title_of(row.prompt_tokens)}: {percent(row.share)} over {row.n_draws} draws of prompts (95 % "
            f"interval over draws {percent(max(row.draws_low, 0))} to {percent(min(row.draws_high, 1))})."
        )


def _test(row: Any) -> str:
    return "McNemar's exact test" if row.n_documents in (1, row.n_prompts) else "exact test over documents"


def _lengths(memorized: pd.DataFrame) -> Iterator[str]:
    for model, rows in named(all_prompts(memorized)).groupby("who", sort=False):
        if len(rows) > 1:
            rows = rows.sort_values("prompt_tokens")
            short, long = rows.iloc[0], rows.iloc[-1]
            yield (
                f"{model}: {percent(short['share'])} after {title_of(short['prompt_tokens'])}, "
                f"{percent(long['share'])} after {title_of(long['prompt_tokens'])}."
            )


def _repetitions(memorized: pd.DataFrame) -> Iterator[str]:
    rows = named(overall(memorized))
    rows = rows[(rows["subset"] == ALL) & rows["repetitions"].notna()]
    for model, mine in _longest(rows).groupby("who", sort=False):
        mine = mine.sort_values("repetitions")
        shares = ", ".join(f"{percent(row.share)} at {row.repetitions}" for row in mine.itertuples())
        yield f"{model}, by how often a passage occurs in its training text ({_tokens(mine)}): {shares}."


def _subsets(memorized: pd.DataFrame) -> Iterator[str]:
    rows = named(overall(memorized))
    rows = rows[(rows["subset"] != ALL) & rows["repetitions"].isna()]
    for model, mine in _longest(rows).groupby("who", sort=False):
        most, least = mine.loc[mine["share"].idxmax()], mine.loc[mine["share"].idxmin()]
        if most["share"] > least["share"]:
            yield (
                f"{model} repeats most of {most['subset']} ({percent(most['share'])}) and least of {least['subset']} "
                f"({percent(least['share'])}), with {_tokens(mine)}."
            )


def _extraction(extraction: pd.DataFrame) -> Iterator[str]:
    rows = own_distribution(extraction)
    rows = _longest(rows[(rows["p"] == P) & (rows["n"] == SAMPLES)])
    shares = [f"{row.model} {percent(row.share)}" for row in rows.itertuples()]
    if shares:
        yield (
            f"Share of {_tokens(rows)} whose suffix appears with probability {P:g} or more among {SAMPLES:,} samples "
            f"from the model's own distribution: {', '.join(shares)}."
        )


def _unpaired(memorized: pd.DataFrame, differences: pd.DataFrame) -> Iterator[str]:
    """Models with prompts of their own, because no other one has their tokenizer."""
    paired = set(differences["model"]) | set(differences["other_model"])
    alone = [model for model in dict.fromkeys(memorized["model"]) if model not in paired]
    if alone and memorized["model"].nunique() > 1:
        yield (
            f"{', '.join(alone)}: no other model has the same prompts, which are drawn in the ids of a tokenizer, so "
            "there is no comparison by pairs."
        )


def _longest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["prompt_tokens"] == rows["prompt_tokens"].max()]


def _tokens(rows: pd.DataFrame) -> str:
    return title_of(int(rows["prompt_tokens"].iloc[0]))


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["model"]))


def _size(row: pd.Series) -> str:
    return f"{millions(row['n_parameters'])} parameters"
