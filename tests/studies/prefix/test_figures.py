"""Figures of the prefix study."""

import itertools

from lib.studies.prefix import figures, tables
from tests.studies.prefix.toy import attack


def test_labels_of_sizes_do_not_collide() -> None:
    sizes = [116_000, 122_000, 124_000, 400_000, 1_290_000, 1_330_000]
    models = [attack(str(size), n_parameters=size) for size in sizes]
    figure = figures.size_figure(tables.memorized_table(models))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert len(boxes) >= 3
        assert not any(left.x1 >= right.x0 for left, right in itertools.pairwise(boxes))


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


def test_no_two_models_and_no_two_families_differ_by_colour_alone() -> None:
    sizes = [(family, n) for family in ("gpt_neox", "mamba", "rwkv") for n in (400_000, 1_300_000)]
    models = [attack(f"{family}_{n}", family=family, n_parameters=n) for family, n in sizes]
    found = tables.memorized_table(models)
    for figure, many in ((figures.repetition_figure(found), 6), (figures.size_figure(found), 3)):
        (axes,) = figure.axes
        lines = [container.lines[0] for container in axes.containers]
        assert len({line.get_marker() for line in lines}) == len(lines) == many
        assert len({line.get_linestyle() for line in lines}) == 3
