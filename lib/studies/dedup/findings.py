"""The dedup study in words: how much went and why, whether duplicates are left, how far given texts stood there."""

from typing import Any

import pandas as pd

from lib.base.errors import counted
from lib.reporting.cells import count, percent


def in_words(found: dict[str, pd.DataFrame], keep: str) -> list[str]:
    """What went, by cause, what is left, and what was sought."""
    rounds = found["totals"].to_dict("records")
    sentences = [_total(rounds[0]), *_causes(found["removed"]), *map(_again, rounds[1:])]
    sentences += [_left(found["left"].iloc[0], keep)] if "left" in found else []
    return sentences + ([_contamination(found["contamination"])] if "contamination" in found else [])


def _total(row: dict[str, Any]) -> str:
    share = percent(row["gone_share"]) if row["tokens"] else "0 %"
    return (
        f"{share} of the tokens went ({row['gone_tokens']:,} of {row['tokens']:,}), from "
        f"{row['cut_documents']:,} of {row['documents']:,} documents; {row['gone_documents']:,} went whole."
    )


def _causes(removed: pd.DataFrame) -> list[str]:
    """The tokens of each cause in a sentence."""
    sums = removed[removed["round"] == 1].groupby("cause", sort=False)["gone_tokens"].sum()
    parts = [f"{tokens:,} {cause}" for cause, tokens in sums.items()]
    return [f"Tokens that went, by cause: {'; '.join(parts)}."] if parts else []


def _again(row: dict[str, Any]) -> str:
    return (
        f"A second round took {counted(row['gone_tokens'], 'token')} more, from windows that were completed where the "
        "text was cut."
    )


def _left(row: pd.Series, keep: str) -> str:
    groups, before = int(row["groups"]), int(row["groups_of_before"])
    text = (
        f"The cleaned corpus, tokenised again and searched by a suffix array, has {groups:,} groups of equal windows; "
        f"{before:,} of them are of windows that the corpus held several times before."
    )
    return (
        f"{text} These were to stay (keep is all)." if keep == "all" else f"{text} The others came into being at cuts."
    )


def _contamination(table: pd.DataFrame) -> str:
    sought = table[table["windows"] > 0]
    exact, near = sought[sought["max_exact"] > 0], sought[sought["max_worth"] > 0]
    text = (
        f"Of {len(sought):,} given texts the corpus holds a window of {len(exact):,} exactly, and of {len(near):,} "
        "exactly or nearly."
    )
    if near.empty:
        return text
    most = near.loc[near["worth"].idxmax()]
    return (
        f"{text} The most contaminated one stands there {count(most['exact'])} times exactly, and near-duplicates "
        f"raise that to {count(most['worth'])} copies' worth (means over its {int(most['windows'])} windows)."
    )


def warnings(found: dict[str, pd.DataFrame], keep: str) -> list[str]:
    """What the cleaned corpus should not hold, and texts that were not sought."""
    said = []
    if keep != "all" and "left" in found and (before := int(found["left"]["groups_of_before"].iloc[0])):
        said.append(f"{before:,} groups of windows that were duplicates before are still in the cleaned corpus.")
    if "contamination" in found and (short := int((found["contamination"]["windows"] == 0).sum())):
        said.append(f"Not sought, because no window of them is long and varied enough: {counted(short, 'given text')}.")
    return said
