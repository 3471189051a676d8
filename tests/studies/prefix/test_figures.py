"""Figures of the prefix study."""

from lib.studies.prefix import figures, tables
from tests.studies.prefix.toy import attack


def test_every_panel_shows_every_share() -> None:
    few, many = [0] * 5 + [1], [1] * 6
    found = tables.memorized_table([attack(exact=few), attack(prompt_tokens=16, exact=many)])
    drawn = [
        figures.size_figure(found),
        figures.length_figure(found),
        figures.repetition_figure(found),
    ]
    for figure in drawn:
        for axes in figure.axes:
            assert axes.get_ylim()[0] < 0
            assert axes.get_ylim()[1] >= found["high"].max()
            low, high = axes.get_xlim()
            assert all(low < x < high for line in axes.get_lines() for x in line.get_xdata())
