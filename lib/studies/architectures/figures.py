"""Figures of the architectures study: rho by perturbation, and exposure by copies and by rate; a line is a model."""

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.reporting import drawing
from lib.studies.mosaic.figures import RHO_TOP
from lib.studies.mosaic.words import EXACT, kind_name, level_name, ordered_settings, setting_name

DODGE = 2.3  # points between two lines, so that their bars do not hide one another


def rho_figure(rho: pd.DataFrame, models: Sequence[str]) -> Figure:
    """rho against the level, a panel for each kind and setting.

    rho: rows of one attack, variant and estimator. A point is the mean over seeds with its 95 % interval over
    canaries; small marks are single seeds.
    """
    places = [
        (kind, setting)
        for kind in sorted(set(rho["kind"]))
        for setting in ordered_settings(rho[rho["kind"] == kind]["setting"])
    ]
    with matplotlib.rc_context(drawing.STYLE):
        figure, grid = _grid(len(places), sharey=True)
        for axes, (kind, setting) in zip(grid, places):
            _lines(axes, rho[(rho["kind"] == kind) & (rho["setting"] == setting)], "rho", models)
            axes.set(title=_title(kind, setting), xlabel=level_name(kind))
            axes.set_xticks(sorted(set(rho[(rho["kind"] == kind) & (rho["setting"] == setting)]["level"])))
            drawing.widen(axes, -0.04, 1.05, RHO_TOP)
        for axes in grid[::2]:
            axes.set_ylabel("ρ (exact equivalent)")
        return _finished(figure, grid[: len(places)])


def exposure_figure(auc: pd.DataFrame, rates: pd.DataFrame, models: Sequence[str]) -> Figure:
    """The AUC against exact copies, and after the most of them against the learning rate (a dot: the matched rate).

    auc: rows of one attack and variant; rates: of these, the table `rates`.
    """
    with matplotlib.rc_context(drawing.STYLE):
        figure, (copies, tried) = _grid(2, sharey=True)
        exact = auc[(auc["kind"] == EXACT) & (auc["setting"] == "") & (auc["level"] > 0)]
        _lines(copies, _with_means(exact), "auc", models)
        copies.set(xlabel=level_name(EXACT), ylabel="AUC")
        for (colour, marker, dash), model in zip(drawing.LINES, models):
            mine = rates[rates["model"] == model]
            tried.plot(mine["learning_rate"], mine["auc"], color=colour, marker=marker, linestyle=dash, label=model)
            tried.plot(mine["matched_rate"], mine["target_auc"], color=colour, marker="*", markersize=8, linestyle="")
        for target in sorted(set(rates["target_auc"])):
            tried.axhline(target, color=drawing.LINES[0][0], linewidth=0.7, linestyle=":")
        ticks = sorted(set(rates["learning_rate"]))
        tried.set(xscale="log", xlabel="learning rate")
        tried.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        tried.set_xticks([], minor=True)
        drawing.widen(copies, 0.4, 1.02)
        return _finished(figure, [copies])


def _title(kind: str, setting: str) -> str:
    return f"{kind_name(kind)}, {setting_name(setting)}" if setting else kind_name(kind)


def _grid(n: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    lines = -(-n // 2)
    size = (drawing.TWO_PANELS_WIDTH, drawing.PANEL_HEIGHT * lines + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(lines, 2, sharey=sharey, squeeze=False).flat)
    for axes in grid[n:]:
        axes.set_visible(False)
    return figure, grid


def _finished(figure: Figure, grid: Sequence[Axes]) -> Figure:
    drawing.legend(figure, grid)
    return drawing.settled(figure)


def _lines(axes: Axes, rows: pd.DataFrame, value: str, models: Sequence[str]) -> None:
    for i, (model, (colour, marker, dash)) in enumerate(zip(models, drawing.LINES)):
        mine = rows[rows["model"] == model].sort_values("level")
        means, seeds = mine[mine["seed"].isna()], mine[mine["seed"].notna()]
        centre = means[value].to_numpy(float)
        low, high = (means[f"{value}_{side}"].to_numpy(float) for side in ("low", "high"))
        drawn = axes.errorbar(
            means["level"].to_numpy(float), centre, [(centre - low).clip(0), (high - centre).clip(0)],
            color=colour, marker=marker, linestyle=dash, elinewidth=0.6, label=model,
        )  # fmt: skip
        marks = {"marker": "_", "markersize": 4, "alpha": 0.5, "linestyle": ""}
        single = axes.plot(seeds["level"], seeds[value], color=colour, **marks)
        drawing.beside([*drawn.get_children(), *single], DODGE * (i - (len(models) - 1) / 2))


def _with_means(auc: pd.DataFrame) -> pd.DataFrame:
    """The rows and, of each level, the mean over seeds, with the bootstrap interval where there is one seed only."""
    means = auc.groupby(["model", "level"], as_index=False)[["auc", "auc_low", "auc_high"]].mean()
    several = auc.groupby(["model", "level"])["seed"].nunique().to_numpy() > 1
    means.loc[several, ["auc_low", "auc_high"]] = float("nan")
    return pd.concat([auc, means.assign(seed=pd.NA).astype({"seed": "Int64"})], ignore_index=True)
