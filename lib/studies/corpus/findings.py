"""The near-duplicates analysis in words: what its figures say, and what a reader has to know before quoting them."""

from collections.abc import Sequence

import pandas as pd

from lib.reporting.cells import count, percent
from lib.studies.corpus.tables import HAMMING, LEVENSHTEIN, SlimpajamaData

TOLD_NGRAM = 50
FEW_TARGETS = 10


def in_words(data: SlimpajamaData, tables: dict[str, pd.DataFrame]) -> list[str]:
    """A paragraph for each bucket, and one on what was scanned."""
    return [*(_bucket(data, tables, bucket) for bucket in data.buckets), _scanned(data)]


def warnings(data: SlimpajamaData) -> list[str]:
    """What makes a number weaker than it looks."""
    found = [
        f"{_sequence(bucket)[0].upper()}{_sequence(bucket)[1:]}: only {n} targets."
        for bucket in data.buckets
        if (n := int((data.bucket == bucket).sum())) < FEW_TARGETS
    ]
    if data.scanned_fraction < 1:
        found.append(f"Only {percent(data.scanned_fraction)} of the corpus was scanned for near-duplicates.")
    return found


def _bucket(data: SlimpajamaData, tables: dict[str, pd.DataFrame], bucket: int) -> str:
    rows = tables["cumulative"]
    rows = rows[(rows["bucket"] == bucket) & (rows["distance"] == data.max_distance)].set_index("metric")
    near, hamming = rows.loc[LEVENSHTEIN], rows.loc[HAMMING]
    said = (
        f"{_sequence(bucket)[0].upper()}{_sequence(bucket)[1:]} has on average {count(near['mean'])} near-duplicates "
        f"within Levenshtein distance {data.max_distance}{_error(near)}, exact copies not counted; "
        f"{count(hamming['mean'])} within Hamming distance {data.max_distance}{_error(hamming)}."
    )
    return f"{said} {_survives(data, tables['survival'], bucket)}" if "survival" in tables else said


def _survives(data: SlimpajamaData, survival: pd.DataFrame, bucket: int) -> str:
    n = min(TOLD_NGRAM, data.length)
    mine = (survival["bucket"] == bucket) & (survival["metric"] == LEVENSHTEIN) & (survival["n"] == n)
    row = survival[mine].iloc[0]
    if not (n_near := int(row["n_near_duplicates"])):
        return "There is none for deduplication to remove."
    return f"{percent(row['share'])} of these {n_near:,} survive {n}-gram deduplication."


def _scanned(data: SlimpajamaData) -> str:
    if data.scanned_fraction == 1:
        return "All of the corpus was scanned; nothing is extrapolated."
    return (
        f"{percent(data.scanned_fraction)} of the corpus was scanned; the column mean_extrapolated divides by that "
        "share, every other number is of what was scanned."
    )


def _sequence(bucket: int) -> str:
    return f"a sequence repeated about {bucket:,} times exactly" if bucket else "a random sequence of the corpus"


def _error(row: pd.Series) -> str:
    n = int(row["n_targets"])
    counted = f"{n} target{'s' if n > 1 else ''}"
    return f" ({counted})" if pd.isna(row["standard_error"]) else f" (± {count(row['standard_error'])}, {counted})"


def rounded(distances: Sequence[int]) -> list[int]:
    """Those that a table of a page shows: the first, multiples of ten, the last."""
    return [d for d in distances if d == distances[0] or d % 10 == 0 or d == distances[-1]]
