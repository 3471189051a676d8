"""Figures of the prefix study: tables in, matplotlib figures out. A family keeps its colour and its dash, a model its
marker.

Error bars are 95 % intervals over documents. Several decodings have panels of their own.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lib.reporting import drawing
from lib.studies.prefix.tables import ALL
from lib.studies.prefix.words import FAMILIES, all_prompts, family_name, millions, named, overall, own_distribution

MORE_COLOURS = ("#56B4E9", drawing.GREY, "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKED = 6  # markers on a line of many points
SHARE = "share memorized"
LEAST_TOP = 0.05  # of the axis of shares, so that a difference of single prompts does not look large
SIZE_ROOM = 1.6  # factor beyond the smallest and the largest model
SIZE_LABEL = 0.2  # share of the axis between two labels of sizes; models of nearly one size share a label
MARGIN = 0.06  # share of a logarithmic axis on each side
DODGE = 4.0  # points from the first to the last model's line
SPREAD = 0.6  # share of the room between two types of text that the models of one take


def size_figure(memorized: pd.DataFrame) -> Figure:
    """Share memorized against parameters, one line per family, one panel per prompt length."""
    rows, looks = named(all_prompts(memorized)), _looks(memorized)

    def panel(axes: Axes, title: str) -> None:
        low, high = _logarithmic(axes, rows["n_parameters"], least=SIZE_ROOM)
        ticks = drawing.apart(sorted(set(rows["n_parameters"])), SIZE_LABEL, math.log, math.log(high / low))
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(lambda n, _: millions(n))
        axes.xaxis.set_minor_locator(NullLocator())
        for family, mine in _titled(rows, title).groupby("family"):
            _line(axes, mine, "n_parameters", *looks[str(family)], family_name(str(family)))
        _from_zero(axes, rows)

    return drawing.panels(_titles(rows), panel, "parameters", SHARE)


def length_figure(memorized: pd.DataFrame) -> Figure:
    """Share memorized against prompt length, one line per model, one panel per decoding."""
    rows, styles = all_prompts(memorized), _styles(memorized)
    decodings = list(dict.fromkeys(rows["decoding"]))
    titles = dict(zip(decodings if len(decodings) > 1 else ["all prompts"], decodings))

    def panel(axes: Axes, title: str) -> None:
        _ticks(axes, sorted(set(rows["prompt_tokens"])))
        _lines(axes, rows[rows["decoding"] == titles[title]], "prompt_tokens", styles)
        _from_zero(axes, rows)

    return drawing.panels(list(titles), panel, "tokens of the prompt", SHARE)


def repetition_figure(memorized: pd.DataFrame) -> Figure:
    """Share memorized against how often a passage occurs in the training text, one line per model."""
    styles = _styles(memorized)
    rows = named(overall(memorized))
    rows = rows[(rows["subset"] == ALL) & rows["repetitions"].notna()]

    def panel(axes: Axes, title: str) -> None:
        _ticks(axes, sorted(set(rows["repetitions"])))
        _lines(axes, _titled(rows, title), "repetitions", styles)
        _from_zero(axes, rows)

    return drawing.panels(_titles(rows), panel, "times in the training text", SHARE)


def subset_figure(memorized: pd.DataFrame) -> Figure:
    """Share memorized for every type of text, one mark per model, one panel per prompt length."""
    styles = _styles(memorized)
    rows = named(overall(memorized))
    rows = rows[(rows["subset"] != ALL) & rows["repetitions"].isna()]
    names = sorted(set(rows["subset"]), reverse=True)  # the first one on top
    models = list(dict.fromkeys(rows["model"]))

    def panel(axes: Axes, title: str) -> None:
        mine = _titled(rows, title)
        for i, model in enumerate(models):
            offset = SPREAD * (0.5 - (i + 0.5) / len(models))
            _marks(axes, mine[mine["model"] == model], names, offset, *styles[model], model)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)

    return drawing.panels(_titles(rows), panel, SHARE, "")


def extraction_figure(extraction: pd.DataFrame) -> Figure:
    """Share of prompts extractable within n samples, one line per model, one panel per p; the longest prompts."""
    styles, rows = _styles(extraction), own_distribution(extraction)
    rows = rows[rows["prompt_tokens"] == rows["prompt_tokens"].max()]
    titles = {f"p = {p:g}": p for p in sorted(set(rows["p"]))}

    def panel(axes: Axes, title: str) -> None:
        _logarithmic(axes, rows["n"])
        axes.xaxis.set_minor_locator(NullLocator())
        for model, mine in rows[rows["p"] == titles[title]].groupby("model", sort=False):
            colour, (marker, dash) = styles[str(model)]
            axes.plot(
                _numbers(mine, "n"), _numbers(mine, "share"), color=colour, linestyle=dash, marker=marker,
                markevery=max(1, len(mine) // MARKED), label=str(model),
            )  # fmt: skip
        _from_zero(axes, rows)

    return drawing.panels(list(titles), panel, "samples n", "share extractable")


def _lines(axes: Axes, rows: pd.DataFrame, x: str, styles: Mapping[str, tuple[str, tuple]]) -> None:
    """One line per model, slightly beside one another."""
    models = list(dict.fromkeys(rows["model"]))
    for i, model in enumerate(models):
        aside = DODGE * ((i + 0.5) / len(models) - 0.5)
        _line(axes, rows[rows["model"] == model], x, *styles[model], model, aside)


def _line(axes: Axes, rows: pd.DataFrame, x: str, colour: str, marker: tuple, label: str, aside: float = 0.0) -> None:
    rows = rows.sort_values(x)
    share, (below, above) = _numbers(rows, "share"), _bars(rows)
    drawn = axes.errorbar(
        _numbers(rows, x), share, [below, above], color=colour, marker=marker[0], linestyle=marker[1],
        elinewidth=0.5, label=label,
    )  # fmt: skip
    drawing.beside(drawn.get_children(), aside)


def _marks(
    axes: Axes, rows: pd.DataFrame, names: Sequence[str], offset: float, colour: str, marker: tuple, label: str
) -> None:
    places = np.array([names.index(name) for name in rows["subset"]], dtype=float) + offset
    axes.errorbar(
        _numbers(rows, "share"), places, xerr=_bars(rows), color=colour, marker=marker[0], linestyle="none",
        elinewidth=0.5, label=label,
    )  # fmt: skip


def _bars(rows: pd.DataFrame) -> list[np.ndarray]:
    """Distances from the share to the ends of its interval."""
    share, low, high = (_numbers(rows, name) for name in ("share", "low", "high"))
    return [np.maximum(share - low, 0), np.maximum(high - share, 0)]


def _from_zero(axes: Axes, rows: pd.DataFrame) -> None:
    """The axis of shares; all panels share it, whichever is drawn last."""
    top = max(_numbers(rows, "high" if "high" in rows else "share").max(), LEAST_TOP)
    axes.set_ylim(-0.03 * top, 1.05 * top)


def _logarithmic(axes: Axes, values: Iterable[int], least: float = 1.13) -> tuple[float, float]:
    """A logarithmic axis over the values with some room; the limits that matplotlib gives shared axes begin at 1.

    Returns the limits.
    """
    low, high = min(values), max(values)
    room = max((high / low) ** MARGIN, least)
    axes.set_xscale("log")
    axes.set_xlim(low / room, high * room)
    return low / room, high * room


def _ticks(axes: Axes, values: Sequence[int]) -> None:
    """A logarithmic axis with its ticks at the values."""
    _logarithmic(axes, values)
    axes.xaxis.set_major_locator(FixedLocator([float(value) for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{value:,}" for value in values])


def _titles(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(rows.sort_values(["prompt_tokens", "decoding"], kind="stable")["title"]))


def _titled(rows: pd.DataFrame, title: str) -> pd.DataFrame:
    return rows[rows["title"] == title]


def _colours(table: pd.DataFrame) -> dict[str, str]:
    unknown = [family for family in dict.fromkeys(table["family"]) if family not in FAMILIES]
    more = {family: MORE_COLOURS[i % len(MORE_COLOURS)] for i, family in enumerate(unknown)}
    return {**{family: colour for family, (_, colour) in FAMILIES.items()}, **more}


def _looks(table: pd.DataFrame) -> dict[str, tuple[str, tuple]]:
    """family -> (its colour, (a marker, its dash))."""
    colours, families = _colours(table), sorted(set(table["family"]))
    return {
        family: (colours[family], (MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)]))
        for place, family in enumerate(families)
    }


def _styles(table: pd.DataFrame) -> dict[str, tuple[str, tuple]]:
    """model -> (colour of its family, (a marker of its own, dash of its family)), so that no two differ by colour
    alone."""
    looks = _looks(table)
    models = table.drop_duplicates("model").sort_values(["family", "n_parameters", "model"])
    return {
        row.model: (looks[row.family][0], (MARKERS[place % len(MARKERS)], looks[row.family][1][1]))
        for place, row in enumerate(models.itertuples())
    }


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(dtype=float, na_value=np.nan)
