"""The head of an audit's report, for a reader outside the field: what was asked, what was found, what that does not
prove."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lib.audit.windows import Cut
from lib.base.errors import counted
from lib.reporting.cells import number, p_is, percent, percent_interval, short
from lib.studies.audit.measures import LOSS
from lib.studies.audit.reading import CONTROLS

Tables = Mapping[str, pd.DataFrame]
RARE = 1e-6  # a p_z below which its size says nothing to a reader


def sentences(tables: Tables, cut: Cut) -> list[str]:
    """Three paragraphs. cut: how texts were cut, in tokens."""
    first = tables["thresholds"].drop_duplicates(["model", "collection"])
    shares = first[first["collection"] != CONTROLS]
    models = [_found(tables, rows) for _, rows in shares.groupby("model", sort=False)]
    return [_asked(tables, shares, cut), f"What was found: {' '.join(models)}", _not_proved(tables, shares)]


def _asked(tables: Tables, shares: pd.DataFrame, cut: Cut) -> str:
    texts = tables["texts"]
    asked = texts[(texts["collection"] != CONTROLS) & (texts["model"] == shares.iloc[0]["model"])]
    return (
        f"What was asked: does {_listed(shares['model'])} know {counted(len(asked), 'text')} by heart "
        f"({_listed(shares['collection'])})? A model was given {cut.prompt_tokens} tokens of a text (a token is a word "
        f"or a part of one), and it was computed how likely it writes the next {cut.suffix_tokens} as they stand; so "
        "through every text."
    )


def _found(tables: Tables, rows: pd.DataFrame) -> str:
    """What was found of one model: the share of passages, the first text, and the comparison with control texts."""
    model, texts = rows.iloc[0]["model"], tables["texts"]
    mine = texts[(texts["model"] == model) & (texts["collection"] != CONTROLS)]
    chance = f"at least once in {short(1 / rows.iloc[0]['threshold'])} attempts"
    of_each = _and([_share(row) for row in rows.itertuples()])
    written = f"{model} writes, word for word and {chance}, {of_each}."
    return " ".join([written, _first(mine), *_compared(tables["controls"], model)])


def _share(row: Any) -> str:
    """A sentence's part on one collection. row: of the table of thresholds."""
    share = percent_interval(row.share, row.low, row.high)
    over = f"95 % interval over {counted(row.documents, 'document')}"
    return f"{row.extracted:,.0f} of {row.windows:,.0f} passages of {row.collection} ({share}, {over})"


def _first(texts: pd.DataFrame) -> str:
    top = texts.sort_values(["covered", "largest_p_z"], ascending=False, kind="stable").iloc[0]
    if top["covered"] > 0:
        share, words = percent(top["covered"]), f"{top['span_words']:,.0f} words"
        return f"Most it writes of {top['name']}: {share} of it, up to {words} in a row."
    chance = float(top["largest_p_z"])
    often = f"once in {1 / max(chance, RARE):,.0f} attempts"
    return f"The likeliest passage, of {top['name']}, would be written {'less than ' if chance < RARE else ''}{often}."


def _compared(controls: pd.DataFrame, model: str) -> Iterator[str]:
    for row in controls[(controls["statistic"] == LOSS) & (controls["model"] == model)].itertuples():
        nats = f"{number(row.difference)} nats [{number(row.low)}, {number(row.high)}]"
        yield (
            f"A token of {row.collection} has a log-probability that is {nats} above that of one of the control texts "
            f"({p_is(row.p_value)})."
        )


def _not_proved(tables: Tables, shares: pd.DataFrame) -> str:
    some = "that the model was trained on these very files: the same words may stand elsewhere, quoted or copied"
    none = "that the model has not read the texts: it may know what this way of asking does not bring out"
    told = tables["bag_of_words"]
    if not len(tables["controls"]):
        beside = "There are no control texts, so easy text cannot be told from remembered text."
    elif len(told) and (told["low"] > 0.5).any():
        beside = "The control texts differ in their words alone, so likelier texts need not be remembered ones."
    else:
        beside = "The comparison holds only if no model has read the control texts, which nobody has checked here."
    return f"What this does not prove: {some if shares['extracted'].any() else none}. {beside}"


def _listed(names: pd.Series) -> str:
    return _and(list(dict.fromkeys(names)))


def _and(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
