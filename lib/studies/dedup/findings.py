"""The dedup study in words: how much went and why, whether duplicates are left, how far given texts stood there."""

import pandas as pd

from lib.base.errors import counted
from lib.reporting.cells import count, percent
from lib.studies.dedup.tables import Removed, cause_of


def in_words(removed: Removed, found: dict[str, pd.DataFrame], keep: str) -> list[str]:
    """What went, by cause, what is left, and what was sought."""
    sentences = [_total(removed), *_causes(removed)]
    sentences += [_left(found["left"].iloc[0], keep)] if "left" in found else []
    return sentences + ([_contamination(found["contamination"])] if "contamination" in found else [])


def _total(removed: Removed) -> str:
    found = removed.totals
    share = percent(found["gone_tokens"] / found["tokens"]) if found["tokens"] else "0 %"
    return (
        f"{share} of the tokens went ({found['gone_tokens']:,} of {found['tokens']:,}), from "
        f"{found['cut_documents']:,} of {found['documents']:,} documents; {found['gone_documents']:,} went whole."
    )


def _causes(removed: Removed) -> list[str]:
    """The tokens of each cause in a sentence."""
    sums = pd.DataFrame(removed.sums).groupby("cause")["tokens"].sum()
    parts = [f"{tokens:,} {cause_of(int(cause))}" for cause, tokens in sums.items()]
    return [f"Tokens that went, by cause: {'; '.join(parts)}."] if parts else []


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
