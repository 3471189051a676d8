"""Figures of the extraction study: the table in, matplotlib figures out. A measure keeps its colour and marker."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.reporting import drawing, series
from lib.studies.mosaic import words

LINES = {"edit_similarity": "edit similarity", "bleu": "BLEU", "word_bleu": "word BLEU", "exact": "exact"}
PUBLISHED_MARKERS = {"edit_similarity": "s", "word_bleu": "D"}


def extraction_figure(extraction: pd.DataFrame, kind: str) -> Figure:
    """The measures against the level of `kind`, one panel per model, of the default setting or the first one.

    Points are means over seeds with their intervals over canaries.
    """
    rows = extraction[extraction["kind"] == kind]
    rows = rows[rows["setting"] == words.ordered_settings(rows["setting"])[0]]

    def panel(axes: Axes, model: str) -> None:
        mine = rows[(rows["model"] == model) & rows["seed"].isna()]
        for measure in PUBLISHED_MARKERS:
            _published(axes, mine[(mine["measure"] == measure) & mine["published_value"].notna()], measure)
        for (measure, label), style in zip(LINES.items(), drawing.LINES):
            _line(axes, mine[(mine["measure"] == measure) & (mine["side"] == "members")], label, style)
        others = mine[(mine["measure"] == "edit_similarity") & (mine["side"] == "non_members")]
        _line(axes, others, "non-members", (drawing.GREY, "x", ":"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawing.widen(axes, -0.02, 0.3)

    return drawing.panels(list(dict.fromkeys(rows["model"])), panel, words.level_name(kind), "share, similarity")


def _published(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    for source, mine in rows.drop_duplicates("level").sort_values("level").groupby("published_source"):
        style = {"color": "#9a9a9a", "linewidth": 3, "alpha": 0.6, "marker": PUBLISHED_MARKERS[measure]}
        style["gid"] = series.REFERENCE
        axes.plot(mine["level"], mine["published_value"], label=f"{LINES[measure]}, {source}", **style)


def _line(axes: Axes, rows: pd.DataFrame, label: str, style: tuple[str, str, str]) -> None:
    rows = rows.sort_values("level")
    level, value, low, high = rows[["level", "value", "low", "high"]].to_numpy(dtype=np.float64).T
    bars = np.clip([value - low, high - value], 0, None)
    colour, marker, dash = style
    axes.errorbar(level, value, bars, color=colour, marker=marker, linestyle=dash, elinewidth=0.5, label=label)
