"""The prefix attack in words: what its figures say, and what a reader has to know before quoting them."""

from collections.abc import Iterator, Mapping

import pandas as pd

from lib.reporting.cells import p_value, percent
from lib.studies.prefix.tables import ALL, OWN
from lib.studies.prefix.words import family_name, millions, title_of, whole

Tables = Mapping[str, pd.DataFrame]
FEW_PROMPTS = 100
NEAR_SIZE = 1.5  # models of two families are compared when one is at most so many times as large as the other
TOLD_P, TOLD_SAMPLES = 0.5, 1000
SIGNIFICANT = 0.05


def in_words(tables: Tables) -> list[str]:
    """Paragraphs: who repeats most; what size, prompt length, repetition and type of text change; sampling."""
    memorized = tables["memorized"]
    return [*_most(memorized), *_families(tables["differences"]), *_lengths(memorized), *_repetitions(memorized),
            *_subsets(memorized), *_extraction(tables["extraction"])]  # fmt: skip


def warnings(tables: Tables) -> list[str]:
    """What makes a number weaker than it looks."""
    found = whole(tables["memorized"])
    scores = tables["scores"][tables["scores"]["subset"] == ALL]
    few, copies = found[found["n_prompts"] < FEW_PROMPTS], scores[scores["memorized_in_prompt"] > 0]
    said = []
    if len(few):
        said.append(f"Only {few['n_prompts'].min()} prompts for {_listed(few)}: the intervals are wide.")
    if not found["memorized"].any():
        said.append("No model repeated any suffix whole; nothing can be said of how they differ.")
    for row in copies.itertuples():
        said.append(
            f"{row.model}, {title_of(row.prompt_tokens)}: of its memorized suffixes, {row.memorized_in_prompt} can be "
            f"copied from the prompt itself; without such prompts its share is {percent(row.share_not_in_prompt)}."
        )
    return said + _unpaired(tables)


def _most(memorized: pd.DataFrame) -> Iterator[str]:
    for tokens, rows in whole(memorized).groupby("prompt_tokens"):
        top = rows.loc[rows["share"].idxmax()]
        sizes = [text for family, mine in rows.groupby("family") if (text := _growth(str(family), mine))]
        said = (
            f"With {title_of(int(str(tokens)))}, {top['model']} repeats most: {percent(top['share'])} of "
            f"{top['n_prompts']:,} suffixes whole (95 % interval {percent(top['low'])} to {percent(top['high'])})."
        )
        yield " ".join([said, *sizes])


def _growth(family: str, rows: pd.DataFrame) -> str:
    """How the share changes from the smallest to the largest model of a family; nothing for a single one."""
    if rows["model"].nunique() < 2:
        return ""
    rows = rows.sort_values("n_parameters")
    small, large = rows.iloc[0], rows.iloc[-1]
    return (
        f"{family_name(family)}: {percent(small['share'])} with {_size(small)}, {percent(large['share'])} with "
        f"{_size(large)}."
    )


def _families(differences: pd.DataFrame) -> Iterator[str]:
    """Models of two families and about one size on the same prompts."""
    for row in differences[differences["subset"] == ALL].itertuples():
        ratio = row.n_parameters / row.other_n_parameters
        if row.family == row.other_family or not 1 / NEAR_SIZE <= ratio <= NEAR_SIZE:
            continue
        verdict = "a difference" if row.p_value < SIGNIFICANT else "no clear difference"
        yield (
            f"On the same {row.n_prompts:,} {title_of(row.prompt_tokens)}, {row.model} repeats {row.memorized} "
            f"suffixes and {row.other_model} {row.other_memorized}: {row.only_model} only the former, {row.only_other} "
            f"only the latter, {verdict} (McNemar's exact test, p = {p_value(row.p_value)})."
        )


def _lengths(memorized: pd.DataFrame) -> Iterator[str]:
    for model, rows in whole(memorized).groupby("model", sort=False):
        if len(rows) > 1:
            rows = rows.sort_values("prompt_tokens")
            short, long = rows.iloc[0], rows.iloc[-1]
            yield (
                f"{model}: {percent(short['share'])} after {title_of(short['prompt_tokens'])}, "
                f"{percent(long['share'])} after {title_of(long['prompt_tokens'])}."
            )


def _repetitions(memorized: pd.DataFrame) -> Iterator[str]:
    rows = memorized[(memorized["subset"] == ALL) & memorized["repetitions"].notna()]
    for model, mine in _longest(rows).groupby("model", sort=False):
        mine = mine.sort_values("repetitions")
        shares = ", ".join(f"{percent(row.share)} at {row.repetitions}" for row in mine.itertuples())
        yield f"{model}, by how often a passage stood in its training text ({_tokens(mine)}): {shares}."


def _subsets(memorized: pd.DataFrame) -> Iterator[str]:
    rows = memorized[(memorized["subset"] != ALL) & memorized["repetitions"].isna()]
    for model, mine in _longest(rows).groupby("model", sort=False):
        if len(mine) > 1 and mine["memorized"].any():
            most, least = mine.loc[mine["share"].idxmax()], mine.loc[mine["share"].idxmin()]
            yield (
                f"{model} repeats most of {most['subset']} ({percent(most['share'])}) and least of {least['subset']} "
                f"({percent(least['share'])}), with {_tokens(mine)}."
            )


def _extraction(extraction: pd.DataFrame) -> Iterator[str]:
    chosen = (extraction["subset"] == ALL) & (extraction["sampling"] == OWN) & (extraction["p"] == TOLD_P)
    rows = _longest(extraction[chosen & (extraction["n"] == TOLD_SAMPLES)])
    shares = [f"{row.model} {percent(row.share)}" for row in rows.itertuples()]
    if shares:
        yield (
            f"Sampled {TOLD_SAMPLES:,} times from the model's own distribution, a suffix turns up with probability "
            f"{TOLD_P:g} or more for this share of the prompts ({_tokens(rows)}): {', '.join(shares)}."
        )


def _unpaired(tables: Tables) -> list[str]:
    """Models that were given prompts of their own, because their tokenizer is another one."""
    found, pairs = whole(tables["memorized"]), tables["differences"]
    paired = set(pairs["model"]) | set(pairs["other_model"])
    alone = [model for model in dict.fromkeys(found["model"]) if model not in paired]
    if not alone or found["model"].nunique() < 2:
        return []
    return [
        f"{', '.join(alone)}: no other model was given the same prompts (they are drawn in a tokenizer's own ids), so "
        "its share is not compared by pairs."
    ]


def _longest(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["prompt_tokens"] == rows["prompt_tokens"].max()]


def _tokens(rows: pd.DataFrame) -> str:
    return title_of(int(rows["prompt_tokens"].iloc[0]))


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(rows["model"]))


def _size(row: pd.Series) -> str:
    return f"{millions(row['n_parameters'])} parameters"
