"""A figure as SVG with the value of every point under the pointer. The same figure gives the same text.

Text stays text: it can be searched and copied, and is drawn in the reader's own font if DejaVu Sans is missing.
"""

import re
from collections.abc import Iterator
from html import escape
from io import StringIO

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lib.reporting import series
from lib.reporting.series import Series

UNITS_PER_INCH = 72  # of matplotlib's SVG
REACH = 4  # the radius around a point in which the pointer finds it
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "tessera"}
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
STYLE = 'stroke-linejoin="round" stroke-linecap="butt"'  # what matplotlib says in a <style>, which would reach the page
FONT = "font-family: 'DejaVu Sans'"
WIDE_FONTS = f"{FONT}, Verdana, sans-serif"


def svg(figure: Figure, style: dict[str, object]) -> str:
    """The figure as one <svg> element. style: matplotlib's settings."""
    buffer = StringIO()
    with matplotlib.rc_context({**style, **SETTINGS}):
        figure.savefig(buffer, format="svg", metadata=METADATA)
    text = _plain(buffer.getvalue())
    return text.removesuffix("</svg>") + f'<g class="values">{"".join(_values(figure))}</g></svg>'


def _plain(text: str) -> str:
    """Without the prologue, the style sheet, line ends, and ids that nothing refers to."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", text, count=0, flags=re.S)
    text = text.replace("<svg ", f"<svg {STYLE} ", 1).replace(FONT, WIDE_FONTS)
    text = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", text)).strip()
    used = set(re.findall(r'#([^")]+)[")]', text))
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)


def own_ids(text: str, prefix: str) -> str:
    """The SVG with ids that begin with `prefix`, so that several figures can stand on one page."""
    names = {name: f"{prefix}-{number}" for number, name in enumerate(re.findall(r' id="([^"]*)"', text))}
    return re.sub(r'(?<= id=")[^"]+|(?<=#)[^")]+(?=[")])', lambda found: names.get(found[0], found[0]), text)


def _values(figure: Figure) -> Iterator[str]:
    """A circle for each point, invisible, with its value as title."""
    height = figure.get_figheight() * UNITS_PER_INCH
    for one in series.read(figure):
        places = one.line.get_transform().transform(one.points) * UNITS_PER_INCH / figure.dpi
        bars = one.bars if len(one.bars) == len(one.points) else np.full((len(one.points), 2), np.nan)
        for place, point, bar in zip(places, one.points, bars):
            if np.isfinite([*place, *point]).all() and _inside(one, point):
                yield (
                    f'<circle cx="{place[0]:.1f}" cy="{height - place[1]:.1f}" r="{REACH}" fill="none" '
                    f'pointer-events="all"><title>{escape(_title(one, point, bar))}</title></circle>'
                )


def _inside(one: Series, point: np.ndarray) -> bool:
    """Whether a point lies within its panel."""
    (left, right), (bottom, top) = (sorted(limits) for limits in (one.axes.get_xlim(), one.axes.get_ylim()))
    return left <= point[0] <= right and bottom <= point[1] <= top


def _title(one: Series, point: np.ndarray, bar: np.ndarray) -> str:
    """`ratio: replaced tokens R 25, ρ 0.495 (0.41 to 0.58)`."""
    x, y = (series.spelled(axis, value) for axis, value in zip((one.axes.xaxis, one.axes.yaxis), point))
    x_name, y_name = (series.name(one.axes, which) for which in ("x", "y"))
    text = f"{one.label}: {x_name} {x}, {y_name} {y}".replace(",  ", ", ")
    return text if not np.ptp(bar) > 0 else f"{text} ({bar[0]:.3g} to {bar[1]:.3g})"
