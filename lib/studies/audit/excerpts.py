"""The extracted passages that the report of an audit shows: of each collection the texts that are covered most."""

from collections.abc import Iterator, Sequence

import numpy as np

from lib.audit import texts_file
from lib.reporting.excerpts import AROUND, CUT, EXTRACTED, Excerpt, Passage, Segment, passage
from lib.studies.audit.reading import CONTROLS, Audited
from lib.studies.audit.tables import covered

MOST = 5  # texts of a collection
BEFORE = 40  # tokens before the longest span


def make(found: Sequence[Audited]) -> Iterator[Excerpt]:
    """One excerpt for each model and collection, control texts included where something of them is extracted."""
    for one in found:
        rows = [[_passage(one, number)] for number in _most_covered(one)]
        if rows or one.collection != CONTROLS:
            yield Excerpt(f"{one.model}: {one.collection}", _caption(one, bool(rows)), rows)


def _caption(one: Audited, some: bool) -> str:
    what = f"windows with p_z of at least {one.thresholds[0]:g} (top-k {one.top_k}, temperature 1)"
    if not some:
        return f"No text has {what}."
    return (
        f"Of the texts with {what} the {MOST} that are covered most, from {BEFORE} tokens before the longest span on. "
        "Marked are the suffixes of such windows."
    )


def _most_covered(one: Audited) -> list[int]:
    shares = np.nan_to_num(covered(one))
    return [int(row) for row in np.lexsort((np.arange(len(shares)), -shares))[:MOST] if shares[row] > 0]


def _passage(one: Audited, number: int) -> Passage:
    spans = one.spans(number)
    longest = int(one.of_texts["span_begin"][number, 0])
    first = max(0, longest - BEFORE)
    share = f"{100 * covered(one)[number]:.3g} % of its tokens"
    label = f"{one.texts.name[number]}: {share}, from token {first:,} on"
    opening: list[Segment] = [(CUT, AROUND)] if first else []
    return passage(label, [*opening, *segments(one, number, first, spans)])


def segments(one: Audited, number: int, first: int, spans: np.ndarray) -> Iterator[Segment]:
    """The text from token `first` on, in pieces; those of the spans are marked."""
    at, last = first, len(one.texts.ids[number])
    for begin, end in [(max(first, begin), end) for begin, end in spans.tolist() if end > first]:
        yield texts_file.between(one.texts, number, at, begin), AROUND
        yield texts_file.between(one.texts, number, begin, end), EXTRACTED
        at = end
    yield texts_file.between(one.texts, number, at, last), AROUND
