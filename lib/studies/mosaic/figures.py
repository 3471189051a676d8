"""Figures of the study on fuzzy duplicates: AUC and rho against the level of each kind of duplicate, ROC, training
curves.

AUC and rho are drawn of one attack, beside what was published, and of every attack in a panel each; a line is a
setting. An attack keeps its marker, colour and dash in all figures (see `lib.reporting.drawing`). Tables in, matplotlib
figures out; the same tables give the same bytes.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from lib.reporting import drawing, series
from lib.statistics import roc
from lib.studies.mosaic import equal_scores, rho_table
from lib.studies.mosaic.equal_scores import Equal
from lib.studies.mosaic.measurements import Record
from lib.studies.mosaic.published import LABEL, Key, Reference
from lib.studies.mosaic.words import (
    CORRECTED,
    EXACT,
    MAIN_ATTACK,
    attack_rank,
    label_of,
    level_name,
    ordered_settings,
    setting_name,
    split_score,
    style_of,
)

ROOT_FROM = 10  # levels that span a larger factor stand on a square-root axis, so that the least ones have room
LABEL_ROOM = 0.1  # share of the axis between two labels
RHO_TOP = 2.0  # of the axis: extrapolated values have no bound
BEHIND = "#9a9a9a"  # the colour of what stands behind the lines for comparison
DODGE = 0.6  # points between two lines, so that their bars do not hide one another

POINT = ["model", "attack", "setting", "level"]


class Line(NamedTuple):
    """An attack or a setting in a panel. points: columns level, centre, below, above (lengths of the bars)."""

    label: str
    style: tuple[str, str, str]
    points: pd.DataFrame
    setting: str


@dataclass(frozen=True)
class TrainingCurve:
    """One fine-tuning: held-out loss (nats per token) and loss-attack AUC at some steps; arrays of equal length."""

    steps: np.ndarray
    held_out_loss: np.ndarray
    auc: np.ndarray


def auc_figure(
    auc: pd.DataFrame,
    kind: str = EXACT,
    variant: str = CORRECTED,
    attack: str | None = None,
    published: Mapping[Key, Reference] | None = None,
) -> Figure:
    """AUC against the level of `kind`, one panel per model, one line per attack, or per setting of the one `attack`.

    Points: the AUC of one seed with its bootstrap interval, or the mean over seeds with one standard deviation.
    published: the published curves, drawn as in `rho_figure`.
    """
    rows = _aucs(auc, kind, variant)
    levels = sorted(map(float, set(rows["level"])))

    def panel(axes: Axes, model: str) -> None:
        lines = _lines(rows, model, "auc", attack)
        _beside_published(axes, model, kind, lines, published or {})
        _draw(axes, lines, levels)
        _guessing(axes)

    return drawing.panels(_models(rows["model"]), panel, level_name(kind), "AUC")


def _aucs(auc: pd.DataFrame, kind: str, variant: str) -> pd.DataFrame:
    return auc[(auc["kind"] == kind) & (auc["variant"] == variant) & (auc["level"] > 0)]


def _guessing(axes: Axes) -> None:
    drawing.widen(axes, 0.4, 1.02)
    axes.axhline(0.5, color=drawing.GREY, linewidth=0.7, linestyle=":")


def rho_figure(
    rho: pd.DataFrame, estimator: str = "isotonic", variant: str = CORRECTED, kind: str = "replace",
    published: Mapping[Key, Reference] | None = None, attack: str | None = None,
) -> Figure:  # fmt: skip
    """rho against the level of `kind`, one panel per model; lines and points as in `auc_figure`.

    Points that are no result (see `rho_table.is_flagged`) are left out. published: the published curves by (model,
    kind, setting). Those of the shown settings are drawn in grey; where a line is a setting, they have its marker.
    """
    rows = rho_points(rho, estimator, variant, kind)[0]
    levels = sorted(set(rows["level"]))

    def panel(axes: Axes, model: str) -> None:
        lines = _lines(rows, model, "rho", attack)
        _beside_published(axes, model, kind, lines, published or {})
        _draw(axes, lines, levels)
        drawing.widen(axes, -0.04, 1.05, RHO_TOP)

    return drawing.panels(_models(rows["model"]), panel, level_name(kind), "ρ (exact equivalent)")


def auc_attacks_figure(auc: pd.DataFrame, kind: str, variant: str, attack: str) -> Figure:
    """AUC of every attack against the level of `kind`, as `attacks_figure` has rho."""
    rows = _aucs(auc, kind, variant).astype({"level": float})
    rows = rows[rows["attack"] != "bag_of_words"]
    return _of_attacks(rows, rows[:0], "auc", attack, (level_name(kind), "AUC"), _guessing)


def attacks_figure(
    rho: pd.DataFrame,
    estimator: str = "isotonic",
    variant: str = CORRECTED,
    kind: str = "replace",
    attack: str = MAIN_ATTACK,
) -> Figure:
    """rho of every attack against the level of `kind`: a panel per attack, a line per model and setting.

    Hollow points are no result (see `rho_table.is_flagged`). The lines of `attack` are in the other panels in grey.
    """
    points = rho_points(rho, estimator, variant, kind)
    return _of_attacks(
        *points, "rho", attack, (level_name(kind), "ρ"), lambda axes: drawing.widen(axes, -0.04, 1.05, RHO_TOP)
    )


def _of_attacks(
    results: pd.DataFrame,
    flagged: pd.DataFrame,
    value: str,
    attack: str,
    labels: tuple[str, str],
    finish: Callable[[Axes], None],
) -> Figure:
    names = sorted({*results["attack"], *flagged["attack"]}, key=attack_rank)
    titles = {label_of(name): name for name in names}
    every = pd.concat([results, flagged])
    styles, levels = _styles_of(every), sorted(set(every["level"]))

    def panel(axes: Axes, title: str) -> None:
        if titles[title] != attack:
            behind = [_centres(group, value) for _, group in _grouped(results, attack)]
            for points in [one for one in behind if len(one) > 1]:  # one point is no line
                axes.plot(points["level"], points["centre"], color=BEHIND, alpha=0.6, linewidth=2)
        _draw(axes, [_line(styles, key, group, value) for key, group in _grouped(results, titles[title])], levels)
        for key, group in _grouped(flagged, titles[title]):
            points = _centres(group, value)
            axes.plot(points["level"], points["centre"], styles[key][1], color=drawing.GREY, fillstyle="none")
        finish(axes)

    return drawing.panels(list(titles), panel, *labels, most=3)


def rho_points(rho: pd.DataFrame, estimator: str, variant: str, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of single seeds whose mean over seeds is a result, and those whose mean is flagged."""
    rows = rho[(rho["kind"] == kind) & (rho["variant"] == variant) & (rho["estimator"] == estimator)]
    rows = rows[rows["rho"].notna()].astype({"level": float})
    means = rows[rows["seed"].isna()]
    marked = set(means[rho_table.flagged(means)][POINT].itertuples(index=False, name=None))
    seeds = rows[rows["seed"].notna()]
    is_marked = np.array([key in marked for key in seeds[POINT].itertuples(index=False, name=None)], dtype=bool)
    return seeds[~is_marked], seeds[is_marked]


def _styles_of(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(model, setting) -> colour, marker and dash."""
    keys = sorted(set(zip(rows["model"], rows["setting"])))
    return dict(zip(keys, itertools.cycle(drawing.LINES)))


def has_curves_behind(figure: Figure) -> bool:
    """Whether anything is drawn for comparison behind the lines: published curves, or those of another attack."""
    return any(line.get_color() == BEHIND for axes in figure.axes for line in axes.get_lines())


def _grouped(rows: pd.DataFrame, attack: str) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    return list(rows[rows["attack"] == attack].groupby(["model", "setting"]))


def _line(
    styles: Mapping[tuple[str, str], tuple[str, str, str]], key: tuple[str, str], rows: pd.DataFrame, value: str
) -> Line:
    model, setting = key
    return Line(f"{model}, {setting_name(setting)}" if setting else model, styles[key], _centres(rows, value), setting)


def roc_figure(
    records: Iterable[Record],
    kind: str = EXACT,
    level: float | None = None,
    variant: str = CORRECTED,
    equal: Equal | None = None,
) -> Figure:
    """ROC on log axes at one level (by default the largest of `kind`): the mean TPR over seeds at each FPR. Of `equal`
    scores the first is drawn.

    It is of the records of the default setting, or of the first setting where the default has none.
    """
    records = _of_first_setting(records, kind)
    level = roc_level(records, kind) if level is None else level
    records = [record for record in records if record.labels["level"] == level]
    floor = min(1 / len(scores) for record in records for scores in record.non_members.values()) / 2

    def panel(axes: Axes, model: str) -> None:
        axes.plot([floor, 1], [floor, 1], color=drawing.GREY, linewidth=0.7, linestyle=":")
        _roc_lines(axes, [record for record in records if record.labels["model"] == model], variant, equal or {})
        axes.set(xscale="log", yscale="log", xlim=(floor, 1), ylim=(floor, 1.1))

    return drawing.panels(_models(record.labels["model"] for record in records), panel, "FPR", "TPR")


def roc_level(records: Iterable[Record], kind: str = EXACT) -> float:
    """The level at which `roc_figure` is drawn by default. Raises ValueError without any record of `kind`."""
    return max(record.labels["level"] for record in _of_first_setting(records, kind))


def _of_first_setting(records: Iterable[Record], kind: str) -> list[Record]:
    mine = [record for record in records if record.labels["kind"] == kind]
    first = ordered_settings(record.labels.get("setting", "") for record in mine)[:1]
    return [record for record in mine if [record.labels.get("setting", "")] == first]


def training_figure(runs: Mapping[tuple[str, int], TrainingCurve]) -> Figure:
    """Held-out loss and loss-attack AUC against the share of the epoch, for runs of (model, nu).

    One row per model; one line per run, dark for few copies and light for many.
    """
    models, levels = _models(model for model, _ in runs), sorted({level for _, level in runs})
    colours = dict(zip(levels, drawing.colours(len(levels))))
    with matplotlib.rc_context(drawing.STYLE):
        size = (drawing.TWO_PANELS_WIDTH, drawing.PANEL_HEIGHT * len(models) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(models), 2, sharex=True, squeeze=False)
        for row, model in zip(grid, models):
            curves = {level: runs[model, level] for level in levels if (model, level) in runs}
            _training_row(row, model, curves, colours)
        for axes in grid[-1]:
            axes.set_xlabel("share of the epoch")
        drawing.legend(figure, grid.flat)
        return drawing.settled(figure)


def _training_row(
    row: Sequence[Axes], model: str, curves: Mapping[int, TrainingCurve], colours: Mapping[int, tuple[float, ...]]
) -> None:
    loss, auc = row
    for level, curve in curves.items():
        share = np.asarray(curve.steps) / max(1, np.max(curve.steps, initial=0))
        loss.plot(share, curve.held_out_loss, color=colours[level], marker="o", label=f"ν = {level}")
        auc.plot(share, curve.auc, color=colours[level], marker="o", label=f"ν = {level}")
    loss.set(ylabel="held-out loss (nats)", title=model)
    auc.set(ylabel="AUC of the loss attack", title=model)
    drawing.widen(auc, 0.4, 1.02)


def _lines(rows: pd.DataFrame, model: str, value: str, attack: str | None) -> list[Line]:
    """The lines of one panel: one per attack, or one per setting of the one `attack`."""
    mine = rows[rows["model"] == model]
    if attack is None:
        groups = mine[mine["attack"] != "bag_of_words"].groupby(["attack", "setting"])
        return [
            Line(label_of(name), style_of(name), _centres(group, value), setting)
            for (name, setting), group in sorted(groups, key=lambda item: attack_rank(item[0][0]))
        ]
    settings = ordered_settings(rows["setting"])  # of all panels, so that a setting looks the same in each
    styles = dict(zip(settings, itertools.cycle(drawing.LINES)))
    if len(settings) == 1:
        styles = {settings[0]: style_of(attack)}
    groups_of = dict(list(mine[mine["attack"] == attack].groupby("setting")))
    return [
        Line(
            setting_name(setting) if len(settings) > 1 else label_of(attack),
            styles[setting],
            _centres(groups_of[setting], value),
            setting,
        )
        for setting in settings
        if setting in groups_of
    ]


def _centres(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """The points of a line: the mean over seeds with one standard deviation, or the one seed with its interval."""
    levels = rows.groupby("level")
    centre, spread = levels[value].mean(), levels[value].std(ddof=0)
    low, high = levels[f"{value}_low"].first(), levels[f"{value}_high"].first()
    single = levels.size() == 1
    below = spread.where(~single, centre - low).fillna(0).clip(lower=0)
    above = spread.where(~single, high - centre).fillna(0).clip(lower=0)
    table = pd.DataFrame({"centre": centre, "below": below, "above": above})
    return table.reset_index().astype(float)


def _draw(axes: Axes, lines: Sequence[Line], levels: Sequence[float]) -> None:
    """levels: of all panels, which share their axis."""
    _level_axis(axes, levels)
    for i, line in enumerate(lines):
        colour, marker, dash = line.style
        level, centre, below, above = line.points[["level", "centre", "below", "above"]].to_numpy().T
        drawn = axes.errorbar(
            level, centre, [below, above], color=colour, marker=marker, linestyle=dash, elinewidth=0.5,
            label=line.label,
        )  # fmt: skip
        drawing.beside(drawn.get_children(), DODGE * (i - (len(lines) - 1) / 2))


def _level_axis(axes: Axes, levels: Sequence[float]) -> None:
    """Ticks at the levels, as many as have room, on an axis of square roots if the levels span much."""
    place: Callable[[Any], Any] = float
    if levels[-1] > ROOT_FROM * levels[0] > 0:
        place = _root
        axes.set_xscale("function", functions=(_root, np.square))
        ends, room = _root(np.array([levels[0], levels[-1]])), 0.05
        axes.set_xlim(*np.square(ends + room * np.diff(ends) * [-1, 1]))
    axes.xaxis.set_major_locator(FixedLocator(drawing.apart(levels, LABEL_ROOM, place)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda level, _: f"{level:g}")


def _root(level: Any) -> Any:
    return np.sqrt(np.maximum(level, 0))  # margins of an axis may begin below 0


def _beside_published(
    axes: Axes, model: str, kind: str, lines: Sequence[Line], published: Mapping[Key, Reference]
) -> None:
    """The published curves of the settings that are lines, each once, however many settings share it; with the marker
    of its line where there are several lines, and its name where there are several curves."""
    known = [(line, published[model, kind, line.setting]) for line in lines if (model, kind, line.setting) in published]
    drawn = {id(reference): (line, reference) for line, reference in reversed(known)}  # the first line of each
    several = len({line.setting for line in lines}) > 1
    for line, reference in reversed(drawn.values()):
        table = reference.curve
        axes.errorbar(
            table["value"], table["mean"], table["std"], color=BEHIND, alpha=0.6, capsize=0, elinewidth=2,
            linewidth=2 if several else 4, marker=line.style[1] if several else "", markersize=5,
            label=f"{LABEL}, {line.label}" if len(drawn) > 1 else reference.label, gid=series.REFERENCE,
        )  # fmt: skip


def _roc_lines(axes: Axes, records: Sequence[Record], variant: str, equal: Equal) -> None:
    names = {name for record in records for name in record.members if split_score(name)[1] == variant}
    scores = {split_score(name)[0]: name for name in equal_scores.firsts(names, equal)}
    for attack in sorted(scores, key=attack_rank):
        curves = [roc.roc_points(r.members[scores[attack]], r.non_members[scores[attack]]) for r in records]
        rates = np.unique(np.concatenate([curve.fpr for curve in curves]))
        tpr = np.mean([[curve.tpr[curve.fpr <= rate].max() for rate in rates] for curve in curves], axis=0)
        colour, _, dash = style_of(attack)
        axes.step(rates, tpr, where="post", color=colour, linestyle=dash, label=label_of(attack))


def _models(models: Iterable[str]) -> list[str]:
    return sorted(set(models))
