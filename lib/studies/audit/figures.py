"""The figure of an audit: the share of windows against p_z."""

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
