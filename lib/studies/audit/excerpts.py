"""Passages that the report of an audit shows: of each collection the texts of which most is extracted, and beside them
what the model finds likeliest at each place."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lib.audit import texts_file
from lib.reporting.cells import short
from lib.reporting.excerpts import AROUND, CHANGED, CUT, EXTRACTED, SAME, Excerpt, Passage, Segment, passage
from lib.studies import texts
from lib.studies.audit.reading import CONTROLS, Audited
from lib.studies.audit.tables import covered
from lib.studies.texts import Decode

MOST = 5  # texts of a collection
BEFORE = 40  # tokens before what is extracted
LONGEST = 300  # tokens that the model's own are shown of


def make(found: Sequence[Audited], decoders: Mapping[str, Decode]) -> Iterator[Excerpt]:
    """One excerpt for each model and collection, control texts included where something of them is extracted.

    decoders: by model; without one there are only the texts.
    """
    for one in found:
        numbers, decode = ranked(one)[:MOST], decoders.get(one.model)
        some = bool(np.nansum(covered(one)))
        if some or one.collection != CONTROLS:
            rows = [_row(one, number, decode) for number in numbers]
            yield Excerpt(f"{one.model}: {one.collection}", _caption(one, some, len(rows[0]) > 1), rows)


def ranked(one: Audited) -> list[int]:
    """The texts that have a window, the most extracted first, then those with the largest p_z."""
    largest = [one.windows["log_p"][one.of_text(number)].max() for number in one.there.tolist()]
    return one.there[np.lexsort((np.negative(largest), -covered(one)[one.there]))].tolist()


def _caption(one: Audited, some: bool, beside: bool) -> str:
    what = f"windows with p_z of at least {one.thresholds[0]:g} (top-k {one.top_k}, temperature 1)"
    first = f"Marked are the suffixes of {what}. " if some else f"No text has {what}. "
    second = (
        "Beside it stands the token that the model finds likeliest at each place of the longest such stretch, or of "
        "the likeliest suffix, after the true tokens before it; marked is what differs from the text."
    )
    most = f"The {MOST} texts of which most is extracted, then those with the likeliest window. "
    return most + first + (second if beside else "")


def _row(one: Audited, number: int, decode: Decode | None) -> list[Passage]:
    begin, end = _stretch(one, number)
    shown = _extracted(one, number, begin) if covered(one)[number] > 0 else _likeliest(one, number, begin, end)
    if decode is None or "likeliest" not in one.of_tokens:
        return [shown]
    return [shown, _own(one, number, begin, min(end, begin + LONGEST), decode)]


def _stretch(one: Audited, number: int) -> tuple[int, int]:
    """The longest span of a text, or the suffix of its likeliest window, in tokens."""
    begin, end = (int(one.of_texts[name][number, 0]) for name in ("span_begin", "span_end"))
    if begin < end:
        return begin, end
    rows = one.of_text(number)
    suffix = int(one.windows["start"][rows][one.windows["log_p"][rows].argmax()]) + one.cut.prompt_tokens
    return suffix, suffix + one.cut.suffix_tokens


def _extracted(one: Audited, number: int, begin: int) -> Passage:
    """A text from a little before its longest span on, with all its spans marked."""
    first = max(0, begin - BEFORE)
    share = f"{100 * covered(one)[number]:.3g} % of its tokens"
    label = f"{one.texts.name[number]}: {share}, from token {first:,} on"
    return passage(label, [*_cut(first), *segments(one, number, first, one.spans(number))])


def _likeliest(one: Audited, number: int, begin: int, end: int) -> Passage:
    """The likeliest window of a text: its suffix, and a little of its prompt."""
    first = max(0, begin - BEFORE)
    largest = np.exp(one.windows["log_p"][one.of_text(number)].max())
    before, suffix = (texts_file.between(one.texts, number, *ends) for ends in ((first, begin), (begin, end)))
    label = f"{one.texts.name[number]}: p_z {short(largest)}, from token {first:,} on"
    return passage(label, [*_cut(first), (before, AROUND), (suffix, SAME)])


def _cut(first: int) -> list[Segment]:
    return [(CUT, AROUND)] if first else []


def segments(one: Audited, number: int, first: int, spans: np.ndarray) -> Iterator[Segment]:
    """The text from token `first` on, in pieces; those of the spans are marked."""
    at, last = first, len(one.texts.ids[number])
    for begin, end in [(max(first, begin), end) for begin, end in spans.tolist() if end > first]:
        yield texts_file.between(one.texts, number, at, begin), AROUND
        yield texts_file.between(one.texts, number, begin, end), EXTRACTED
        at = end
    yield texts_file.between(one.texts, number, at, last), AROUND


def _own(one: Audited, number: int, begin: int, end: int, decode: Decode) -> Passage:
    """The likeliest tokens at the places from `begin` to before `end`; those that differ from the text are marked."""
    likeliest = one.of_tokens["likeliest"][number][begin:end]
    other = likeliest != one.texts.ids[number][begin:end]
    ends = [*(np.flatnonzero(np.diff(other)) + 1).tolist(), len(other)]
    pieces = texts.pieces(decode, likeliest, ends)
    label = f"likeliest at these places: {len(other) - other.sum()} of {len(other)} tokens as in the text"
    return passage(label, [(piece, CHANGED if other[at - 1] else SAME) for piece, at in zip(pieces, ends)])
