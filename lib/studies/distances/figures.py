"""Figures of the distances sweep: rho of every perturbation against each distance."""

import math

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from lib.perturbations.distances import MEASURES
from lib.reporting import drawing
from lib.studies.mosaic.figures import RHO_TOP
from lib.studies.mosaic.words import CORRECTED, kind_name

NAMES = {
    "levenshtein": "Levenshtein (tokens)", "damerau": "Damerau (tokens)", "indel": "LCS / Indel (tokens)",
    "token_overlap": "token overlap (tokens)", "token_jaccard": "token Jaccard",
    **{name: f"{name.removeprefix('jaccard_')}-gram Jaccard" for name in MEASURES if name.startswith("jaccard_")},
}  # fmt: skip
STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#E69F00", "D"), ("#CC79A7", "P"), ("#000000", "X"))


def rho_figure(
    distances: pd.DataFrame, model: str, attack: str, estimator: str = "isotonic", variant: str = CORRECTED
) -> Figure:
    """rho of one model (mean over seeds) against the mean of each distance: a panel per distance, a marker per kind.

    distances: the table `distances`. Raises ValueError when it has no such row.
    """
    rows = distances[distances["seed"].isna() & (distances["model"] == model) & (distances["attack"] == attack)]
    rows = rows[(rows["estimator"] == estimator) & (rows["variant"] == variant) & rows["rho"].notna()]
    if rows.empty:
        raise ValueError(f"nothing to draw: no rho of {model}, {attack}, {estimator}, {variant}")
    with matplotlib.rc_context(drawing.STYLE):
        lines = math.ceil(len(MEASURES) / 2)
        size = (drawing.TWO_PANELS_WIDTH, drawing.PANEL_HEIGHT * lines + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(lines, 2, sharey=True)
        for axes, measure in zip(grid.flat, MEASURES):
            _points(axes, rows, measure)
        for axes in grid.flat[len(MEASURES) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("ρ (exact equivalent)")
        drawing.legend(figure, grid.flat)
        return drawing.settled(figure)


def _points(axes: matplotlib.axes.Axes, rows: pd.DataFrame, measure: str) -> None:
    for (colour, marker), kind in zip(STYLES, sorted(set(rows["kind"]))):
        mine = rows[rows["kind"] == kind]
        axes.plot(mine[measure], mine["rho"], linestyle="", marker=marker, color=colour, label=kind_name(kind))
    axes.set_xlabel(NAMES[measure])
    drawing.widen(axes, -0.04, 1.05, RHO_TOP)
