"""The SVG of a figure, read by an XML parser: values lie where matplotlib has put the markers."""

import re
from xml.etree import ElementTree

import pytest

from lib.reporting import drawing, vector

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


def panel(axes, title):
    drawn = axes.errorbar([1, 5, 10], [0.9, 0.5, 0.1], [[0.1] * 3, [0.05] * 3], marker="o", label="ratio <&>")
    drawing.beside(drawn.get_children(), 5)
    axes.plot([1, 10], [0.8, 0.4], label="loss")
    axes.axhline(0.5)


@pytest.fixture(scope="module")
def text():
    return vector.svg(drawing.panels(["a", "b"], panel, "tokens R", "ρ"), drawing.STYLE)


def test_values_lie_on_the_markers_that_matplotlib_has_drawn(text):
    root = ElementTree.fromstring(text)
    circles = list(root.iter(f"{SVG}circle"))
    titles = [circle.findtext(f"{SVG}title") for circle in circles]
    ends = ("1, ρ 0.9 (0.8 to 0.95)", "5, ρ 0.5 (0.4 to 0.55)", "10, ρ 0.1 (0 to 0.15)")
    one = [*(f"ratio <&>: tokens R {end}" for end in ends), "loss: tokens R 1, ρ 0.8", "loss: tokens R 10, ρ 0.4"]
    assert titles == one * 2
    discs = {f"#{path.get('id')}" for path in root.iter(f"{SVG}path") if path.get("id") and " C " in path.get("d")}
    drawn = [use for use in root.iter(f"{SVG}use") if use.get(LINK) in discs][:6]  # the seventh is in the legend
    ours = [circle for circle, title in zip(circles, titles) if title.startswith("ratio")]
    for use, circle in zip(drawn, ours, strict=True):
        for name in "xy":
            assert float(use.get(name)) == pytest.approx(float(circle.get(f"c{name}")), abs=0.06)


def test_the_same_figure_gives_the_same_text_without_date_or_style_sheet(text):
    assert vector.svg(drawing.panels(["a", "b"], panel, "tokens R", "ρ"), drawing.STYLE) == text
    assert not re.search(r"<style|<metadata|<\?xml|\n|20\d\d-", text)


def test_ids_of_two_figures_on_a_page_differ_and_each_refers_to_its_own(text):
    found = [vector.own_ids(text, prefix) for prefix in ("one", "two")]
    ids = [re.findall(r' id="([^"]+)"', each) for each in found]
    assert len({*ids[0], *ids[1]}) == len(ids[0]) + len(ids[1]) > 4
    for each, own in zip(found, ids):
        assert set(re.findall(r'#([a-z]+-\d+)[")]', each)) == set(own)
