"""Texts with coloured tokens: runs join to the text, markup is escaped, what is read back is what was written."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.reporting import heat_maps, page
from lib.reporting.heat_maps import HeatMaps, Part, Text, View
from lib.reporting.page import Report

VIEWS = [View("p_z", heat_maps.scale((1e-3, 0.1))), View("probability", ["low", "high"])]
PART = Part("tokens 1 to 2", [("a <b>\n", "a2 b1 x"), ("\x00plain & text", "")])
SHOWN = HeatMaps("m: mine", "What <colours> say.", VIEWS, [Text("one & only", [PART, PART]), Text("two", [PART])])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.booleans()), max_size=12), st.integers(0, 5))
def test_neighbours_that_are_alike_are_one_run(tokens, first) -> None:
    steps, marked = np.array([one[:2] for one in tokens], dtype=int).reshape(-1, 2).T, np.array([o[2] for o in tokens])
    made = heat_maps.runs(lambda begin, end: "".join(f"{n} " for n in range(begin, end)), steps, marked, first)
    assert "".join(text for text, _ in made).split() == [str(first + n) for n in range(len(tokens))]
    each = [(classes, int(number) - first) for text, classes in made for number in text.split()]
    for classes, number in each:
        a, b, mark = tokens[number]
        assert set(classes.split()) == {f"a{a}", f"b{b}", *["x"] * mark} - {"a0", "b0"}
    assert all(one != other for (_, one), (_, other) in itertools.pairwise(made))


def test_a_scale_names_what_its_edges_cut() -> None:
    assert VIEWS[0].steps == ["below 0.001", "0.001 to 0.1", "0.1 and above"]


def test_runs_are_elements_and_texts_are_escaped() -> None:
    html = page.render(Report("r", (), heat_maps=[SHOWN]))
    assert '<i class="a2 b1 x">a &lt;b&gt;\n</i>\\x00plain &amp; text</p>' in html
    for part in ("What &lt;colours&gt; say.", "one &amp; only", "tokens 1 to 2", '<i class="a1">0.001 to 0.1</i>'):
        assert part in html
    assert html.count("<details") == 4  # two texts, one of them in two parts
    assert "data-view=" not in page.render(Report("r", ())).partition("</head>")[2]


def test_heat_maps_come_back_from_the_data_of_a_report(tmp_path: Path) -> None:
    page.write(tmp_path / "report.html", Report("r", (), heat_maps=[SHOWN]))
    assert page.read(tmp_path / "report.json").heat_maps == [SHOWN]
    text = (tmp_path / "report.json").read_text().replace("a2 b1 x", 'a2\\" onclick=\\"')
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(TesseraError, match="unknown classes"):
        page.read(tmp_path / "report.json")
