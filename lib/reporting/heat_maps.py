"""Texts in a report whose tokens are coloured by numbers, in parts that a reader unfolds.

A page has one text and several views of it: each run of characters names its step in every view, so that changing the
view changes no element. Runs are joined where nothing differs.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from lib.reporting.excerpts import visible

STEPS = 7  # of a scale; the lowest one has no colour
LETTERS = "abc"  # of the views
MARKED = "x"
CLASSES = re.compile(rf"([{LETTERS}][0-{STEPS - 1}] ?)*{MARKED}?")

Run = tuple[str, str]  # characters, and the classes of their element: `a3 b0 x`


@dataclass(frozen=True)
class View:
    """What the colours of a view stand for, and the label of each step, the lowest first: at most STEPS."""

    name: str
    steps: Sequence[str]


@dataclass(frozen=True)
class Part:
    """A stretch of a text, and what numbers say of it."""

    label: str
    runs: Sequence[Run]


@dataclass(frozen=True)
class Text:
    """A text in parts, and what numbers say of it."""

    label: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class HeatMaps:
    """Texts under a title, in the same views. Without texts the caption says why there are none."""

    title: str
    caption: str
    views: Sequence[View] = ()
    texts: Sequence[Text] = ()


def scale(edges: Sequence[float]) -> list[str]:
    """The labels of the steps that rising edges cut: below the first, from one to the next, from the last on."""
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} and above"]


def runs(
    between: Callable[[int, int], str], steps: NDArray[np.integer], marked: NDArray[np.bool_], first: int = 0
) -> list[Run]:
    """The runs of a stretch of tokens; neighbours that are alike in every view are one.

    between: the characters of tokens, half open; steps: (views, tokens); marked: (tokens,); first: the number of the
    first token.
    """
    every = np.vstack([steps, marked])
    cuts = np.flatnonzero((every[:, 1:] != every[:, :-1]).any(axis=0)) + 1
    bounds = [0, *cuts.tolist(), every.shape[1]]
    found = ((low, high) for low, high in itertools.pairwise(bounds) if high > low)
    return [(between(first + low, first + high), _classes(steps[:, low], marked[low])) for low, high in found]


def _classes(steps: NDArray[np.integer], marked: np.bool_) -> str:
    named = [f"{letter}{step}" for letter, step in zip(LETTERS, steps.tolist()) if step]
    return " ".join([*named, MARKED] if marked else named)


def html(part: Part) -> Markup:
    """The runs of a part as elements; what has no class is text alone."""
    return Markup("".join(_element(text, classes) for text, classes in part.runs))


def _element(text: str, classes: str) -> str:
    shown = escape("".join(_lines(text)))
    return f'<i class="{classes}">{shown}</i>' if classes else str(shown)


def _lines(text: str) -> Iterator[str]:
    """The characters of a text; line ends stay, and other characters that do not print are spelled."""
    return (one if one.isprintable() or one == "\n" else visible(one) for one in text)


def plain(found: HeatMaps) -> dict[str, Any]:
    """Heat maps as JSON has them."""
    return asdict(found)


def from_plain(found: Mapping[str, Any]) -> HeatMaps:
    """The heat maps that `plain` gave. Raises KeyError, TypeError or ValueError for anything else."""
    texts = [
        Text(text["label"], [Part(part["label"], [_run(*run) for run in part["runs"]]) for part in text["parts"]])
        for text in found["texts"]
    ]
    return HeatMaps(found["title"], found["caption"], [View(**view) for view in found["views"]], texts)


def _run(text: str, classes: str) -> Run:
    if not CLASSES.fullmatch(classes):
        raise ValueError(f"unknown classes {classes!r}")
    return text, classes
