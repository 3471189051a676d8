"""Texts in a report: passages with a label, of which parts are marked. Those of one row stand beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

# Marks: the elements of HTML that show them.
SAME, CHANGED, LACKING, SHARED, EXTRACTED, AROUND = "", "ins", "del", "mark", "b", "i"
LEGEND = {
    CHANGED: "tokens that the original does not have",
    LACKING: "tokens of the original that are not there",
    SHARED: "the longest run of characters that both texts have, from 3 on",
    EXTRACTED: "text that the model continues with, by the threshold of p_z",
    AROUND: "what stands around a text",
}
LONGEST = 1500  # characters of a passage, so that no report grows with its texts
LEAST = 3  # characters that two texts share by more than chance
CUT = "…"

Segment = tuple[str, str]  # text and mark


@dataclass(frozen=True)
class Passage:
    """A text, in segments with their marks, and what it is."""

    label: str
    segments: Sequence[Segment]


@dataclass(frozen=True)
class Excerpt:
    """Passages in rows, under a title. Without rows the caption says why there is nothing to show."""

    title: str
    caption: str
    rows: Sequence[Sequence[Passage]] = ()


def passage(label: str, segments: Iterable[Segment]) -> Passage:
    """A passage of at most LONGEST characters; what is cut off shows as an ellipsis. Empty segments are left out."""
    kept, left = [], LONGEST
    for text, mark in segments:
        if text:
            kept.append((text[:left] + (CUT if len(text) > left else ""), mark))
            left -= len(text)
        if left <= 0:
            break
    return Passage(label, kept)


def shared(one: str, other: str) -> tuple[list[Segment], list[Segment]]:
    """The segments of two texts, with the longest run of characters that both have marked (the first of equal ones).

    Runs of less than LEAST characters are not marked.
    """
    found = SequenceMatcher(None, one, other, autojunk=False).find_longest_match()
    if found.size < LEAST:
        return [(one, SAME)], [(other, SAME)]
    return _around(one, found.a, found.size), _around(other, found.b, found.size)


def _around(text: str, start: int, size: int) -> list[Segment]:
    return [(text[:start], SAME), (text[start : start + size], SHARED), (text[start + size :], SAME)]


def legend(excerpts: Iterable[Excerpt]) -> list[tuple[str, str]]:
    """(mark, its meaning) of the marks that occur, in the order of LEGEND."""
    found = {mark for excerpt in excerpts for row in excerpt.rows for one in row for _, mark in one.segments}
    return [(mark, meaning) for mark, meaning in LEGEND.items() if mark in found]


def visible(text: str) -> str:
    """A text on one line: line ends and tabs as arrows, other characters that do not print as their escapes."""
    arrows = {"\n": "↵", "\t": "⇥"}
    return "".join(arrows.get(one) or (one if one.isprintable() else repr(one)[1:-1]) for one in text)


def plain(excerpt: Excerpt) -> dict[str, Any]:
    """An excerpt as JSON has it."""
    return asdict(excerpt)


def from_plain(found: Mapping[str, Any]) -> Excerpt:
    """The excerpt that `plain` gave. Raises KeyError, TypeError or ValueError for anything else."""
    rows = [
        [Passage(one["label"], [_segment(*given) for given in one["segments"]]) for one in row] for row in found["rows"]
    ]
    return Excerpt(found["title"], found["caption"], rows)


def _segment(text: str, mark: str) -> Segment:
    if mark not in (SAME, *LEGEND):
        raise ValueError(f"unknown mark {mark!r}")
    return text, mark
