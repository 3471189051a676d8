"""The published extraction study: edit similarity and word BLEU of GPT-Neo's members, one seed, by kind and level.

sweeps/published/mosaic_extraction.csv: after 10 exact copies (1.3B), and after 9 fuzzy duplicates with R replaced
tokens (2.7B). Greedy continuations of 50 tokens after prompts of 50.
"""

import functools
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lib.base import places
from lib.studies.mosaic.published import published_name

FILE = places.PUBLISHED / "mosaic_extraction.csv"
PROMPT_TOKENS, SUFFIX_TOKENS = 50, 50
MEASURES = ("edit_similarity", "word_bleu")
COLUMNS = ("published_source", "published_value")


@functools.cache
def table() -> pd.DataFrame:
    """The file: model, kind, level, and a column for each of MEASURES."""
    return pd.read_csv(FILE)


def beside(labels: Mapping[str, Any], measure: str) -> dict[str, Any]:
    """COLUMNS of one of our results; {} if it was not published. The source names a model that is not ours."""
    rows = table()
    rows = rows[(rows["kind"] == labels["kind"]) & (rows["level"] == labels["level"])]
    if labels["setting"] or measure not in MEASURES or rows.empty:
        return {}
    (row,) = rows.to_dict("records")
    same = row["model"] in (labels["model"], published_name(labels["model"]))
    return dict(zip(COLUMNS, ("published" if same else f"published, {row['model']}", row[measure])))
