"""Figures of the exposure study: gain against exact copies and against exposure, and worth against distance."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lib.reporting import drawing
from lib.statistics import exposure
from lib.studies.exposure.tables import COUNT, EXACT, rho_column

NAMES = {EXACT: "exact copies alone", "replace": "with replaced tokens", "translation": "with a translation"}
STYLES = dict(zip(NAMES, drawing.LINES))


def gain_figure(conditions: pd.DataFrame) -> Figure:
    """The mean gain of every condition: a panel against its exact copies, one against its exposure by each rho."""
    names = [column.removeprefix("rho_") for column in conditions if column.startswith("rho_")]

    def panel(axes: Axes, title: str) -> None:
        worth = 0 if title == COUNT else conditions[rho_column(title.removeprefix("exposure, ρ "))]
        copies = conditions["exact"] + (conditions["near"] * worth).fillna(0)
        for kind, (colour, marker, dash) in STYLES.items():
            mine = conditions["kind"] == kind
            _bars(axes, conditions[mine], copies[mine], colour, marker, dash if kind == EXACT else "", NAMES[kind])

    titles = [COUNT, *(f"exposure, ρ {name}" for name in names)]
    return drawing.panels(titles, panel, "copies' worth", "gain (nats a token)", most=3)


def worth_figure(conditions: pd.DataFrame, rhos: Mapping[str, tuple[NDArray, NDArray]]) -> Figure:
    """What a near-duplicate counted as, by the share of its tokens that differ, beside rho.

    rhos: name -> the levels (shares) and values that it was measured at.
    """

    def panel(axes: Axes, title: str) -> None:
        shares = np.linspace(0, 1, 101)
        for (name, (levels, values)), dash in zip(rhos.items(), ("-", "--", "-.", ":")):
            axes.plot(shares, exposure.weights(shares, levels, values), dash, color=drawing.GREY, label=f"ρ {name}")
        for kind, (colour, marker, _) in list(STYLES.items())[1:]:
            for beside in sorted(set(conditions["exact"])):
                rows = conditions[(conditions["kind"] == kind) & (conditions["exact"] == beside)]
                rows = rows[rows["worth"].notna()].rename(columns={"worth_low": "lower", "worth_high": "upper"})
                rows = rows.assign(gain=rows["worth"], low=rows["lower"], high=rows["upper"])
                label = f"{NAMES[kind]}, {beside:g} exact"
                if len(rows):
                    _bars(axes, rows, rows["share"], colour, marker, "", label, filled=beside > 0)

    return drawing.panels(["one near-duplicate"], panel, "share of tokens that differ", "copies' worth")


def _bars(
    axes: Axes, rows: pd.DataFrame, x: pd.Series, colour: str, marker: str, dash: str, label: str, filled: bool = True
) -> None:
    value = rows["gain"].to_numpy()
    errors = np.abs(np.stack([value - rows["low"], rows["high"] - value]))
    face = colour if filled else "white"
    axes.errorbar(x, value, errors, color=colour, marker=marker, linestyle=dash or "none", mfc=face, label=label)
