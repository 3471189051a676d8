"""The heat maps of an audit: every text with its tokens coloured by p_z, and by their own probability.

A view is a scale and, for each text, the step of every token; one more is one more line in `views`.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from lib.audit import texts_file
from lib.base.errors import counted
from lib.reporting import heat_maps
from lib.reporting.cells import percent, short
from lib.reporting.heat_maps import HeatMaps, Part, Text, View
from lib.studies.audit.excerpts import ranked
from lib.studies.audit.reading import CONTROLS, Audited
from lib.studies.audit.tables import covered

P_Z = (1e-20, 1e-15, 1e-10, 1e-5, 1e-3, 0.1)
PROBABILITY = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 0.9)
PART = 2000  # tokens that are unfolded at once
MOST = 250_000  # tokens of a report: two books of 300 pages

Views = list[tuple[View, list[np.ndarray]]]


def make(found: Sequence[Audited]) -> Iterator[HeatMaps]:
    """The heat maps of each model and collection, control texts last, texts of which most is extracted first."""
    found = sorted(found, key=lambda one: one.collection == CONTROLS)
    for one, most in zip(found, shares([sum(one.texts.lengths()) for one in found], MOST)):
        texts = list(_texts(one, most))
        yield HeatMaps(f"{one.model}: {one.collection}", _caption(one, len(texts), most), _scales(one), texts)


def shares(sizes: Sequence[int], most: int) -> list[int]:
    """How much of each size is taken, so that all together are at most `most`: what small ones leave goes to others."""
    given, left = [0] * len(sizes), most
    for place, number in enumerate(sorted(range(len(sizes)), key=lambda number: sizes[number])):
        given[number] = min(sizes[number], left // (len(sizes) - place))
        left -= given[number]
    return given


def views(one: Audited) -> Views:
    """What tokens can be coloured by."""
    found = [(View("p_z of a window", heat_maps.scale(P_Z)), _steps(one.best(), P_Z))]
    if "log_probs" in one.of_tokens:
        steps = _steps(one.of_tokens["log_probs"], PROBABILITY)
        found.append((View("probability of a token", heat_maps.scale(PROBABILITY)), steps))
    return found


def _steps(values: Sequence[np.ndarray], edges: Sequence[float]) -> list[np.ndarray]:
    """The step of each token on a scale, 0 in no suffix. values: natural logarithms."""
    return [np.searchsorted(np.log(edges), np.nan_to_num(row, nan=-np.inf), side="right") for row in values]


def _scales(one: Audited) -> list[View]:
    return [view for view, _ in views(one)]


def _caption(one: Audited, shown: int, most: int) -> str:
    return (
        "A token has the colour of the likeliest window whose suffix holds it, or of its own probability after the "
        f"true tokens before it. Windows with p_z of at least {one.thresholds[0]:g} are underlined. The first "
        f"{one.cut.prompt_tokens} tokens of a text are in no suffix.{_left_out(sum(one.texts.lengths()), shown, most)}"
    )


def _left_out(tokens: int, shown: int, most: int) -> str:
    if most >= tokens:
        return ""
    return (
        f" Here are {most:,} of {tokens:,} tokens: {counted(shown, 'text')}, the most extracted first, the last one by "
        "its parts with the largest p_z. The table of texts has the others."
    )


def _texts(one: Audited, most: int) -> Iterator[Text]:
    """Whole texts, and parts of the one that `most` tokens end in."""
    best, every = one.best(), views(one)
    steps = [np.stack(rows) for rows in zip(*(steps for _, steps in every))]
    left = most
    for number in ranked(one):
        if left > 0:
            extracted = _extracted(one, number)
            parts = _chosen(best[number], left)
            made = [_part(one, number, first, best[number], steps[number], extracted) for first in parts]
            yield Text(_label(one, number, best[number]), made)
            left -= len(best[number])


def _chosen(best: np.ndarray, most: int) -> list[int]:
    """Where the parts of a text begin that are shown, rising: all, or those with the largest p_z."""
    begins = list(range(0, len(best), PART))
    largest = [np.nan_to_num(best[begin : begin + PART], nan=-np.inf).max() for begin in begins]
    kept = sorted(begins, key=lambda begin: (-largest[begin // PART], begin))[: -(-most // PART)]
    return sorted(kept)


def _extracted(one: Audited, number: int) -> np.ndarray:
    found = np.zeros(len(one.texts.ids[number]), dtype=bool)
    for begin, end in one.spans(number).tolist():
        found[begin:end] = True
    return found


def _label(one: Audited, number: int, best: np.ndarray) -> str:
    share = percent(covered(one)[number])
    return f"{one.texts.name[number]}: {len(best):,} tokens, {share} extracted, {_largest(best)}"


def _largest(best: np.ndarray) -> str:
    return f"largest p_z {short(float(np.exp(np.nanmax(best))))}" if not np.isnan(best).all() else "in no suffix"


def _part(one: Audited, number: int, first: int, best: np.ndarray, steps: np.ndarray, extracted: np.ndarray) -> Part:
    rows = slice(first, first + PART)
    between = partial(texts_file.between, one.texts, number)
    made = heat_maps.runs(between, steps[:, rows], extracted[rows], first)
    last = min(first + PART, len(best))
    counts = f"{extracted[rows].sum():,} extracted" if extracted[rows].any() else "none extracted"
    return Part(f"tokens {first + 1:,} to {last:,}: {counts}, {_largest(best[rows])}", made)
