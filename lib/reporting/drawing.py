"""The style of all figures, and how they are written.

Text has 7-8 pt at the width of a column; colours are the colour-blind safe palette of Okabe and Ito. The same figure
gives the same bytes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from lib.base import files
from lib.reporting import vector

# Inches. Two panels are narrower than two columns, so that they are still readable at the width of one (or a phone).
COLUMN_WIDTH, TWO_PANELS_WIDTH = 3.35, 5.2
PANEL_HEIGHT = 2.0
DPI = 200
SUFFIXES = (".svg", ".pdf", ".png")  # of the files of a figure
LEGEND_CHARACTERS = 17  # about as many fit into an inch
GREY = "#6b6b6b"

# Colour, marker and dash of lines without a style of their own.
LINES = (
    ("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"), ("#E69F00", "v", "-"),
    ("#56B4E9", "P", "--"), ("#000000", "X", "-."), ("#7A6A00", "<", ":"),
)  # fmt: skip

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 7.5, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "axes.linewidth": 0.6, "lines.linewidth": 1.1, "lines.markersize": 3.4,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5, "axes.axisbelow": True, "legend.frameon": False, "pdf.fonttype": 42,
    "errorbar.capsize": 1.2,
}  # fmt: skip


def png(figure: Figure) -> bytes:
    """The figure as PNG, without dates or versions."""
    return _render(figure, "png", {"Software": None})


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write `<name>.png`, `.pdf` and `.svg`; the same figure gives the same bytes. Returns the SVG."""
    text = vector.svg(figure, STYLE)
    files.write_bytes(folder / f"{name}.png", png(figure))
    files.write_bytes(folder / f"{name}.pdf", _render(figure, "pdf", {"CreationDate": None}))
    files.write_bytes(folder / f"{name}.svg", text.encode())
    return text


def settled(figure: Figure) -> Figure:
    """The figure with a fixed layout. Solving it again for every file would take most of the time.

    Without an engine; "none" would leave one that does nothing, for which savefig draws everything twice.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    return figure


def _render(figure: Figure, format: str, metadata: dict[str, None]) -> bytes:
    buffer = BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=format, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def panels(
    titles: Sequence[str], draw: Callable[[Axes, str], None], x_label: str, y_label: str, most: int = 2
) -> Figure:
    """A grid of panels with shared axes, one per title, and one legend below. most: of columns."""
    if not titles:
        raise ValueError("nothing to draw: the tables have no rows for this figure")
    columns = min(most, len(titles))
    rows = math.ceil(len(titles) / columns)
    with matplotlib.rc_context(STYLE):
        size = (COLUMN_WIDTH if columns == 1 else TWO_PANELS_WIDTH, PANEL_HEIGHT * rows + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for i, axes in enumerate(grid.flat):
            if i >= len(titles):
                axes.set_visible(False)
                continue
            draw(axes, titles[i])
            axes.set_title(titles[i])
            axes.tick_params(labelbottom=True)
            if i + columns >= len(titles):  # nothing below it
                axes.set_xlabel(x_label)
        for axes in grid[:, 0]:
            axes.set_ylabel(y_label)
        legend(figure, grid.flat[: len(titles)])
        return settled(figure)


def legend(figure: Figure, panels: Iterable[Axes]) -> None:
    """One legend below all panels, in as many columns as fit; none if nothing has a label."""
    entries = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels())}
    if not entries:
        return
    handles = [getattr(handle, "lines", (handle,))[0] for handle in entries.values()]  # the line without its bars
    across = max(1, LEGEND_CHARACTERS * figure.get_figwidth() // (max(map(len, entries)) + 6))
    rows = math.ceil(len(entries) / across)
    figure.legend(handles, entries.keys(), loc="outside lower center", ncols=math.ceil(len(entries) / rows))


def beside(artists: Iterable[Artist], points: float) -> None:
    """Move what was drawn `points` to the right (1/72 inch), so that lines do not hide one another. Values and limits
    of the axes stay as they are."""
    for artist in artists:
        moved = ScaledTranslation(points / 72, 0, artist.figure.dpi_scale_trans)
        artist.set_transform(artist.get_transform() + moved)


def widen(axes: Axes, low: float, high: float, highest: float = math.inf) -> None:
    """Show at least [low, high], and everything that is drawn up to `highest`."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, low), min(max(top, high), highest))


def apart(values: Sequence[float], least: float, place: Callable[[float], float] = float, span: float = 0) -> list:
    """The rising values whose labels do not collide: the first one, and each that is `least` of the span further.

    The last value takes the place of its neighbour before it. place: of a value on the axis; span: the length of the
    axis, by default from the first to the last value.
    """
    places = [place(value) for value in values]
    span = span or places[-1] - places[0]
    kept = [0]
    for i in range(1, len(places)):
        if places[i] - places[kept[-1]] >= least * span:
            kept.append(i)
    if len(kept) > 1:
        kept[-1] = len(places) - 1
    return [values[i] for i in kept]


def round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in [low, high], rising; low is positive."""
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]


def colours(n: int) -> list[tuple[float, ...]]:
    """n colours of viridis, dark to light, short of its pale end."""
    return [tuple(matplotlib.colormaps["viridis"](0.9 * i / max(1, n - 1))) for i in range(n)]
