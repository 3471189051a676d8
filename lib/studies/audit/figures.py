"""The figure of an audit: the share of windows against p_z."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.reporting import drawing


def curve_figure(curve: pd.DataFrame) -> Figure:
    """The share of windows with at least a p_z, a line for each collection, a panel for each model."""
    styles = dict(zip(dict.fromkeys(curve["collection"]), drawing.LINES))

    def panel(axes: Axes, model: str) -> None:
        axes.set_xscale("log")
        for collection, rows in curve[curve["model"] == model].groupby("collection", sort=False):
            colour, marker, dash = styles[collection]
            axes.plot(
                rows["p_z"].to_numpy(),
                rows["share"].to_numpy(),
                color=colour,
                marker=marker,
                linestyle=dash,
                markevery=2,
                label=str(collection),
            )
        axes.set_ylim(-0.03, 1.03)

    return drawing.panels(list(dict.fromkeys(curve["model"])), panel, "p_z, at least", "share of windows")
