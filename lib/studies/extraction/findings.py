"""The extraction study in words: what its table shows, and what a reader must know before quoting it."""

from collections.abc import Iterator

import pandas as pd

from lib.reporting.cells import estimate, number
from lib.studies.mosaic.words import level_name


def in_words(extraction: pd.DataFrame) -> Iterator[str]:
    """A sentence for each model, kind and setting: its least and its most injected level, and non-members."""
    means = extraction[extraction["seed"].isna() & (extraction["measure"] == "edit_similarity")]
    for (model, kind, setting), rows in means.groupby(["model", "kind", "setting"]):
        members, others = (rows[rows["side"] == side].sort_values("level") for side in ("members", "non_members"))
        first, last = members.iloc[0], members.iloc[-1]
        name = f"{model} ({setting})" if setting else model
        yield (
            f"{name}, {level_name(kind)}: the edit similarity of members is {_value(first)} at {first['level']:g} and "
            f"{_value(last)} at {last['level']:g} (95 % over canaries). The mean of non-members is "
            f"{number(others['value'].mean())}."
        )


def _value(row: pd.Series) -> str:
    return estimate(row["value"], row["low"], row["high"])


def warnings(extraction: pd.DataFrame) -> Iterator[str]:
    """What makes a number weaker than it looks."""
    members = extraction[(extraction["side"] == "members") & extraction["seed"].isna()]
    if not members[members["measure"] == "exact"]["value"].any():
        yield "No model repeated the whole suffix of any canary."
    yield (
        "The published numbers are of one seed, and those of replaced tokens of GPT-Neo 2.7B. Their BLEU is word BLEU."
    )
