"""What is read from a figure is what was drawn, and the sentence says which way it goes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lib.reporting import drawing, series

values = st.lists(st.floats(-9, 9).map(lambda x: round(x, 3)), min_size=2, max_size=6)


def figure_of(*lines, x="copies", y="AUC", **style):
    figure = Figure()
    axes = figure.subplots()
    for label, points in lines:
        axes.errorbar(range(1, len(points) + 1), points, 0.1, label=label, **style)
    axes.set(xlabel=x, ylabel=y)
    return figure


@settings(max_examples=10, deadline=None)
@given(values)
def test_points_and_bars_are_those_that_were_drawn_wherever_they_are_moved(points):
    figure = figure_of(("loss", points))
    drawing.beside(figure.axes[0].containers[0].get_children(), 3)
    (one,) = series.read(figure)
    np.testing.assert_array_equal(one.points[:, 1], points)
    np.testing.assert_allclose(one.bars, np.array(points)[:, None] + [-0.1, 0.1])
    assert one.label == "loss"


@settings(max_examples=10, deadline=None)
@given(st.lists(values, min_size=1, max_size=4))
def test_the_sentence_counts_the_lines_that_go_its_way(lines):
    text = series.finding(figure_of(*((f"line {i}", points) for i, points in enumerate(lines))))
    rise, fall = (sum(f * (p[-1] - p[0]) > 0 for p in lines) for f in (1, -1))
    agree = max(rise, fall)
    if not agree:
        assert ": no change" in text
        assert ", from " not in text
    elif len(lines) > 1:
        assert ("rising" if rise >= fall else "falling") in text
        words = "both lines" if agree == len(lines) == 2 else f"all {agree}" if agree == len(lines) else f"{agree} of"
        assert words in text
    assert text.endswith(f"between copies = 1 and {max(map(len, lines))}.")


def test_lines_that_end_where_they_began_neither_rise_nor_fall():
    flat = ("a", [0, 0, 0]), ("b", [0, 1, 0])
    assert series.finding(figure_of(*flat)) == "AUC: no change in both lines, at 0, between copies = 1 and 3."
    assert series.finding(figure_of(flat[0])) == "AUC: no change, at 0, between copies = 1 and 3."


def test_sentences_by_hand():
    two = (("loss", [0.5, 0.7, 0.9]), ("ratio", [0.6, 0.5, 0.8]))
    assert (
        series.finding(figure_of(*two))
        == "AUC: rising in both lines, from 0.5–0.6 to 0.8–0.9, between copies = 1 and 3."
    )
    assert series.finding(figure_of(two[0], x="d ≤")) == "AUC: rising, from 0.5 to 0.9, between d ≤ 1 and 3."
    assert series.finding(figure_of(("a", [0.2]), ("b", [0.3]))) == "At copies = 1, AUC: 0.2 (a) to 0.3 (b)."
    assert series.finding(figure_of(two[0], linestyle="none")) == ""
    figure = Figure()
    axes = figure.subplots()
    for place, label in enumerate("ab"):
        axes.plot([place], [place / 2], label=label)
    axes.set_ylabel("AUC")
    assert series.finding(figure) == "AUC: 0 (a) to 0.5 (b)."
    panels = Figure()
    for place, (axes, title) in enumerate(zip(panels.subplots(1, 2), ("loss", "ratio"))):
        axes.plot([place], [place / 2], label="the only model")
        axes.set(title=title, ylabel="AUC")
    assert series.finding(panels) == "AUC: 0 (loss) to 0.5 (ratio)."
    assert series.finding(figure_of(two[0], gid=series.REFERENCE)) == ""
    assert series.reading(figure_of(*two), x=2.5) == "At copies = 2.5, AUC: 0.5 (ratio) to 0.7 (loss)."


def test_of_marks_beside_words_the_least_and_the_largest_are_named():
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0.25, 0.5], [0.1, 1.1], "o", label="tiny")
    axes.plot([0.75, 0.1], [-0.1, 0.9], "o", label="large")
    axes.set_yticks([0, 1], ["prose", "code"])
    axes.set_xlabel("share")
    assert series.finding(figure) == "Share: 0.1 (code, large) to 0.75 (prose, large)."


def test_a_value_between_ticks_of_numbers_is_not_that_of_a_tick():
    axes = Figure().subplots()
    axes.set_xticks([10, 20, 1000], ["10", "20", "1,000"])
    assert [series.spelled(axes.xaxis, value) for value in (10, 15, 25, 1000)] == ["10", "15", "25", "1,000"]
    axes.set_xticks([0, 1], ["prose", "code"])
    assert series.spelled(axes.xaxis, 0.2) == "prose"  # marks of one word stand beside one another


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (1234.0, "1,234"), (75.0, "75"), (1049.6, "1,050"), (1.5e-7, "1.5e-07")]
)
def test_values_have_three_digits(value, text):
    assert series.spelled(Figure().subplots().xaxis, value) == text
