"""The corpus study in words: what its figures show, and what a reader must know before quoting them."""

import pandas as pd

from lib.base.errors import counted, listed
from lib.reporting.cells import count, percent, percent_interval
from lib.studies.corpus.tables import HAMMING, LEVENSHTEIN, SHORTEST_NGRAM, WHOLE, SlimpajamaData

NGRAM = 50  # of the deduplication that sentences are about, but at most half a target: every shift shares fewer
FEW_TARGETS = 10


def in_words(data: SlimpajamaData, tables: dict[str, pd.DataFrame]) -> list[str]:
    """A paragraph for each bucket, and on what was scanned and what was grouped."""
    exposure = exposed(tables["exposure"]) if "exposure" in tables else []
    return [*(_bucket(data, tables, bucket) for bucket in data.buckets), *exposure, _scanned(data), *_grouped(data)]


def warnings(data: SlimpajamaData) -> list[str]:
    """What makes a number weaker than it looks."""
    counts = {bucket: int((data.bucket == bucket).sum()) for bucket in data.buckets}
    found = [f"{_sequence(bucket)}: only {_targets(n)}." for bucket, n in counts.items() if n < FEW_TARGETS]
    if data.scanned_fraction < 1:
        found.append(f"Only {percent(data.scanned_fraction)} of the corpus was scanned for near-duplicates.")
    return found


def drawn(data: SlimpajamaData) -> str:
    """How many targets there are, in words: `25 targets with 10 copies, and 25 windows at random,`."""
    counts = {bucket: int((data.bucket == bucket).sum()) for bucket in data.buckets}
    filled = [f"{counted(n, 'target')} with {bucket:,} copies" for bucket, n in counts.items() if bucket]
    at_random = counted(counts.get(0, 0), "window")
    return f"{listed(filled) or 'no targets'}, and {at_random} at random,"


def exposed(exposure: pd.DataFrame) -> list[str]:
    """How much near-duplicates add to the exact copies of each bucket, in a sentence."""
    medians = exposure.groupby("bucket", sort=False)[["exact", "exposure"]].median()
    parts = [
        f"{count(row['exact'])} exact copies, {count(row['exposure'])} with near-duplicates "
        f"({f'about {bucket:,} copies' if bucket else 'random'})"
        for bucket, row in medians.iterrows()
    ]
    return [f"Where a near-duplicate counts as ρ of its distance, the median target has: {'; '.join(parts)}."]


def _bucket(data: SlimpajamaData, tables: dict[str, pd.DataFrame], bucket: int) -> str:
    rows = tables["cumulative"]
    rows = rows[(rows["bucket"] == bucket) & (rows["distance"] == data.max_distance)].set_index("metric")
    near, hamming = rows.loc[LEVENSHTEIN], rows.loc[HAMMING]
    text = (
        f"{_sequence(bucket)} has on average {count(near['mean'])} near-duplicates within Levenshtein distance "
        f"{data.max_distance}{_error(near)} and {count(hamming['mean'])} within Hamming distance {data.max_distance}"
        f"{_error(hamming)}, without exact copies."
    )
    return f"{text} {_survives(data, tables['survival'], bucket)}" if "survival" in tables else text


def _survives(data: SlimpajamaData, survival: pd.DataFrame, bucket: int) -> str:
    n = max(min(NGRAM, data.length // 2), min(SHORTEST_NGRAM, data.length))
    mine = (survival["bucket"] == bucket) & (survival["metric"] == LEVENSHTEIN) & (survival["n"] == n)
    row = survival[mine].iloc[0]
    near_duplicates = int(row["n_near_duplicates"])
    if not near_duplicates:
        return "There are no near-duplicates that deduplication could remove."
    share = percent_interval(row["share"], row["low"], row["high"])
    return f"{share} of the {near_duplicates:,} by Levenshtein distance survive {n}-gram deduplication."


def _scanned(data: SlimpajamaData) -> str:
    if data.scanned_fraction == 1:
        return "The whole corpus was scanned for near-duplicates of the targets; nothing is extrapolated."
    return (
        f"{percent(data.scanned_fraction)} of the corpus was scanned. The column mean_extrapolated divides by that "
        "share; every other number counts only what was scanned."
    )


def _grouped(data: SlimpajamaData) -> list[str]:
    """What the groups of exact duplicates are of, and that they overlap."""
    chunks = ", ".join(chunk for chunk in data.histograms if chunk != WHOLE)
    kinds = [f"chunk {chunks}: copies in other chunks do not count there"] if chunks else []
    kinds += ["all chunks that were scanned"] if WHOLE in data.histograms else []
    return [
        f"The groups of exact duplicates are of {kind}. They are groups of overlapping windows, so that one repeated "
        "passage gives many of them."
        for kind in kinds
    ]


def _sequence(bucket: int) -> str:
    return f"A sequence repeated exactly about {bucket:,} times" if bucket else "A random sequence of the corpus"


def _error(row: pd.Series) -> str:
    targets = _targets(int(row["n_targets"]))
    return f" ({targets})" if pd.isna(row["standard_error"]) else f" (± {count(row['standard_error'])}, {targets})"


def _targets(n: int) -> str:
    return f"{n} target{'s' if n > 1 else ''}"
