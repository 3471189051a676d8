"""The figures of an audit: the share of windows against p_z; how far a text must be changed until it is preferred."""

import itertools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.reporting import drawing


def curve_figure(curve: pd.DataFrame) -> Figure:
    """The share of windows with at least a p_z. One model has a line for each collection; of several, each collection
    has a panel, and each model a line in it."""
    panel_of, line_of = ("collection", "model") if curve["model"].nunique() > 1 else ("model", "collection")
    styles = dict(zip(dict.fromkeys(curve[line_of]), itertools.cycle(drawing.LINES)))

    def panel(axes: Axes, title: str) -> None:
        axes.set_xscale("log")
        for name, rows in curve[curve[panel_of] == title].groupby(line_of, sort=False):
            colour, marker, dash = styles[name]
            axes.plot(
                rows["p_z"].to_numpy(),
                rows["share"].to_numpy(),
                color=colour,
                marker=marker,
                linestyle=dash,
                markevery=2,
                label=str(name),
            )
        axes.set_ylim(-0.03, 1.03)

    return drawing.panels(list(dict.fromkeys(curve[panel_of])), panel, "p_z, at least", "share of windows")


def fuzzy_figure(table: pd.DataFrame) -> Figure:
    """The AUC of texts against their fuzzy duplicates by replaced tokens, with intervals: a line for each collection, a
    panel for each model and measure."""
    styles = dict(zip(dict.fromkeys(table["collection"]), drawing.LINES))
    of = {f"{model}, {measure}": rows for (model, measure), rows in table.groupby(["model", "measure"], sort=False)}

    def panel(axes: Axes, title: str) -> None:
        axes.axhline(0.5, color="0.7", linewidth=0.8)
        for collection, rows in of[title].groupby("collection", sort=False):
            colour, marker, dash = styles[collection]
            at, auc = rows["replaced"].to_numpy(float), rows["auc"].to_numpy(float)
            axes.plot(at, auc, color=colour, marker=marker, linestyle=dash, label=str(collection))
            axes.vlines(at, rows["low"].to_numpy(float), rows["high"].to_numpy(float), color=colour, linewidth=0.8)
        axes.set_ylim(-0.03, 1.03)

    return drawing.panels(list(of), panel, "replaced tokens R", "AUC of text against duplicates")
