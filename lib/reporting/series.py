"""What a figure shows, read from the figure itself: its lines with their values, and what they say in a sentence.

Read are the lines that have a label. A line with the gid REFERENCE is drawn for comparison: it has values, and no part
in the sentence.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from lib.reporting.cells import short

REFERENCE = "reference"


class Series(NamedTuple):
    """A line or a set of marks. points: n x 2, values on the axes; bars: the ends of the bar of each point, n x 2,
    or no rows where there are no bars."""

    axes: Axes
    label: str
    line: Line2D
    points: np.ndarray
    bars: np.ndarray


def read(figure: Figure) -> list[Series]:
    """All labelled lines of the visible panels, in the order in which they were drawn."""
    return [series for axes in figure.axes if axes.get_visible() for series in _of(axes)]


def _of(axes: Axes) -> Iterator[Series]:
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer) and container.lines[0] is not None:  # bars alone have no points
            line, _, bars = container.lines
            yield Series(axes, container.get_label(), line, _points(line), _bars(bars[0]) if bars else np.empty((0, 2)))
    for line in axes.get_lines():
        if not str(line.get_label()).startswith("_"):
            yield Series(axes, str(line.get_label()), line, _points(line), np.empty((0, 2)))


def _points(line: Line2D) -> np.ndarray:
    return np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)])


def _bars(collection: LineCollection) -> np.ndarray:
    """The two ends of each bar, along the axis on which it lies."""
    segments = np.array(list(collection.get_segments()), dtype=float).reshape(-1, 2, 2)
    along = 1 if (segments[:, 0, 0] == segments[:, 1, 0]).all() else 0
    return segments[:, :, along]


def name(axes: Axes, which: str) -> str:
    """The label of an axis, `x` or `y`; of panels that share it one alone may have it."""
    shared = getattr(axes, f"get_shared_{which}_axes")().get_siblings(axes)
    labels = [getattr(one, f"get_{which}label")() for one in (axes, *axes.figure.axes) if one is axes or one in shared]
    return next(filter(None, labels), "")


def spelled(axis: Axis, value: float) -> str:
    """A value on an axis: the label of its tick if ticks have labels of their own (of words the nearest), else three
    digits."""
    formatter = axis.get_major_formatter()
    if _in_words(axis):
        ticks = axis.get_majorticklocs()
        nearest = int(np.argmin(np.abs(ticks - value)))
        label = formatter.format_ticks(ticks)[nearest]
        return label if np.isclose(ticks[nearest], value) or not _is_number(label) else short(value)
    if isinstance(formatter, FuncFormatter):
        return formatter(value)
    return short(value)


def _in_words(axis: Axis) -> bool:
    """Whether the ticks of an axis, and their labels, were given one by one."""
    given = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    return given and isinstance(axis.get_major_locator(), FixedLocator)


def _is_number(label: str) -> bool:
    """Whether a label says a number, which is that of its own tick alone."""
    return label.replace(",", "").replace(".", "", 1).isdecimal()


def finding(figure: Figure) -> str:
    """What the lines do from their first point to their last, a sentence for each quantity; of marks beside words the
    least and the largest. Empty where there is neither."""
    groups: dict[tuple[str, str], list[Series]] = {}
    for series in read(figure):
        if series.line.get_gid() != REFERENCE:
            groups.setdefault((name(series.axes, "x"), name(series.axes, "y")), []).append(series)
    return " ".join(filter(None, (_sentence(x, y, group) for (x, y), group in groups.items())))


def reading(figure: Figure, x: float) -> str:
    """`At FPR = 0.1, TPR: 0.24 (ReCaLL) to 0.98 (loss).`: the least and the largest value of the lines at `x`, each
    taken at its last point up to there."""
    lines = [one for one in read(figure) if (one.points[:, 0] <= x).any()]
    cut = [one._replace(points=np.array([[x, one.points[one.points[:, 0] <= x][-1, 1]]])) for one in lines]
    return _at_one_place(name(cut[0].axes, "x"), name(cut[0].axes, "y"), cut) if cut else ""


def _sentence(x: str, y: str, group: Sequence[Series]) -> str:
    """`AUC: rising in all 8 lines, from 0.555–0.703 to 0.879–0.994, between exact copies ν = 1 and 10.`"""
    if _in_words(group[0].axes.yaxis):
        return _extremes(x, group)
    group = [series for series in group if series.line.get_linestyle() != "None"]
    if not group:
        return ""
    ends = np.array([found for series in group if len(found := _ends(series.points))])
    if not len(ends):
        return _at_one_place(x, y, group)
    (left, before), (right, after) = ends[:, 0].T, ends[:, 1].T
    axes = group[0].axes
    begin, end = (_range(axes.yaxis, values) for values in (before, after))
    values = f"from {begin} to {end}" if (after != before).any() else f"at {begin}"
    where = f"between {_is(axes, x, left.min())} and {spelled(axes.xaxis, right.max())}"
    return f"{_capital(y)}: {_direction(after - before)}, {values}, {where}."


def _at_one_place(x: str, y: str, group: Sequence[Series]) -> str:
    """`At replaced tokens R = 25, AUC: 0.56 (EZ) to 0.98 (loss).`, of lines with one point each; without the place
    where they have several."""
    points = np.array([(*point, place) for place, one in enumerate(group) for point in one.points])
    points = points[np.isfinite(points).all(axis=1)] if len(points) else points
    if not len(points):
        return ""
    axes, ends = group[0].axes, points[[points[:, 1].argmin(), points[:, 1].argmax()]]
    texts = [f"{spelled(axes.yaxis, value)} ({_named(group[int(place)], group)})" for _, value, place in ends]
    what = f"At {_is(axes, x, points[0, 0])}, {y}" if np.ptp(points[:, 0]) == 0 else _capital(y)
    return f"{what}: {' to '.join(dict.fromkeys(texts))}."


def _named(one: Series, group: Sequence[Series]) -> str:
    """The label of a line; the title of its panel where all lines have the same label."""
    alike = len({series.label for series in group}) == 1
    return (alike and one.axes.get_title()) or one.label


def _is(axes: Axes, x: str, value: float) -> str:
    """`replaced tokens R = 25`, `distance ≤ 25`."""
    return f"{x}{'' if x[-1:] in tuple('≤≥') else ' ='} {spelled(axes.xaxis, value)}"


def _extremes(x: str, group: Sequence[Series]) -> str:
    """`Share memorized: 0.021 (prose, mamba_1.3M) to 0.41 (code, gpt_neox_1.3M).`"""
    marks = [(*point, one) for one in group for point in one.points if np.isfinite(point).all()]
    ends = [least(marks, key=lambda mark: mark[0]) for least in (min, max)] if marks else []
    texts = [f"{spelled(one.axes.xaxis, x)} ({spelled(one.axes.yaxis, y)}, {one.label})" for x, y, one in ends]
    return f"{_capital(x)}: {' to '.join(texts)}." if texts else ""


def _ends(points: np.ndarray) -> np.ndarray:
    """The first and the last point of a line, 2 x 2; no rows where it has only one place."""
    points = points[np.isfinite(points).all(axis=1)]
    points = points[np.argsort(points[:, 0], kind="stable")][[0, -1]] if len(points) else points
    return points if len(points) and points[0, 0] < points[1, 0] else points[:0]


def _direction(changes: np.ndarray) -> str:
    """`rising`, `falling in 5 of 6 lines`: what most lines do; `no change` where none ends above or below its start."""
    rise, fall = int((changes > 0).sum()), int((changes < 0).sum())
    verb, agree = ("rising", rise) if rise >= fall else ("falling", fall)
    if not agree:
        verb, agree = "no change", len(changes)
    if len(changes) == 1:
        return verb
    if agree == len(changes):
        return f"{verb} in {'both' if agree == 2 else f'all {agree}'} lines"
    return f"{verb} in {agree} of {len(changes)} lines"


def _range(axis: Axis, values: np.ndarray) -> str:
    low, high = spelled(axis, values.min()), spelled(axis, values.max())
    return low if low == high else f"{low}–{high}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text[:1].isascii() else text
