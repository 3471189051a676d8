"""Copies' worth: published values at their levels, straight lines between them, never more for a larger share."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from lib.base.places import PUBLISHED
from lib.statistics import exposure


def published() -> dict[float, float]:
    with open(PUBLISHED / "mosaic_rho.csv", newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if (row["experiment"], row["model"]) == ("replacements", "gptneo1B")
        ]
    return {float(row["value"]) / 100: float(row["rho_mean"]) for row in rows}


def test_published_levels_give_published_rho_and_lines_between_them() -> None:
    known = published()
    found = exposure.weights([0, *known, 1], list(known), list(known.values()))
    assert found == pytest.approx([1, *known.values(), 0])
    line = interp1d([0, *known, 1], [1, *known.values(), 0])
    shares = np.linspace(0, 1, 101)
    assert exposure.weights(shares, list(known), list(known.values())) == pytest.approx(line(shares))


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6, unique=True), st.data())
def test_weights_never_rise_with_the_share(levels: list[float], data) -> None:
    rho = data.draw(st.lists(st.floats(-1, 2), min_size=len(levels), max_size=len(levels)))
    found = exposure.weights(np.linspace(0, 1, 50), sorted(levels), rho)
    assert found[0] == 1
    assert found[-1] == 0
    assert (np.diff(found) <= 0).all()


def test_levels_that_do_not_rise_are_refused() -> None:
    for levels, rho in (([0.5, 0.5], [1, 0]), ([0.0], [1]), ([1.0], [0]), ([0.1, 0.2], [1])):
        with pytest.raises(ValueError, match="must rise between 0 and 1"):
            exposure.weights([0.1], levels, rho)


LEVELS, RHO = (0.1, 0.25, 0.5), (0.8, 0.5, 0.2)
NEAR = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 0.05, 0.2, 0.4, 1])), max_size=40)


@given(NEAR)
def test_exposure_is_a_loop_over_what_is_near(rows: list[tuple[int, float]]) -> None:
    target, share = np.array([row[0] for row in rows], int), np.array([row[1] for row in rows], float)
    found = exposure.of_targets(target, share, 5, LEVELS, RHO)
    for one in range(5):
        line = interp1d([0, *LEVELS, 1], [1, *RHO, 0])
        assert found[one] == pytest.approx(sum(float(line(s)) for t, s in rows if t == one))


@given(NEAR)
def test_between_exact_copies_alone_and_all_as_exact_copies(rows: list[tuple[int, float]]) -> None:
    target, share = np.array([row[0] for row in rows], int), np.array([row[1] for row in rows], float)
    found = exposure.of_targets(target, share, 5, LEVELS, RHO)
    exact, every = (np.bincount(target[kept], minlength=5) for kept in (share == 0, share < 1))
    assert (found >= exact - 1e-12).all()
    assert (found <= np.bincount(target, minlength=5) + 1e-12).all()
    assert exposure.of_targets(target[share == 0], share[share == 0], 5, LEVELS, RHO) == pytest.approx(exact)
    assert exposure.of_targets(target[share <= 0.5], share[share <= 0.5], 5, (0.5,), (1.0,)) == pytest.approx(every)
    assert (exposure.of_targets(target, share, 5, LEVELS, np.multiply(RHO, 1.2)) >= found - 1e-12).all()
