import collections
import functools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from lib.statistics import rho
from lib.studies.mosaic import published

COPIES = np.arange(1, 11)
LAPTOP = np.array([1, 3, 5, 7, 10])
estimators = pytest.mark.parametrize("estimate", [rho.paper, rho.isotonic], ids=["paper", "isotonic"])
aucs = st.floats(0, 1).map(lambda value: round(value, 4))
curves = st.lists(aucs, min_size=10, max_size=10).map(np.array)
FLAGS = ("clamped", "extrapolated", "flat", "non_monotone")


@functools.cache
def published_points():
    return published.measurements()


def published_cells():
    table = published.rho("replacements", "gptneo1B")
    return [(model, int(value)) for model in published.MODELS for value in table["value"]]


@pytest.mark.parametrize(("model", "replaced"), published_cells())
def test_published_rho_of_replacements(model, replaced):
    """Mean and ddof = 0 standard deviation over 5 seeds of the ratio attack, to the 4 decimals that are published."""
    points = [m for m in published_points() if m.model == model and m.attack == "ratio"]
    values = []
    for seed in range(1, 6):
        curve = {m.level: m.auc for m in points if m.seed == seed and m.kind == "exact"}
        (fuzzy,) = [m.auc for m in points if m.seed == seed and m.kind == "replace" and m.level == replaced]
        values.append(rho.paper(sorted(curve), [curve[nu] for nu in sorted(curve)], fuzzy).rho)
    row = published.rho("replacements", model).set_index("value").loc[replaced]
    assert f"{np.mean(values):.4f}" == f"{row.rho_mean:.4f}"
    assert f"{np.std(values):.4f}" == f"{row.rho_std:.4f}"


def test_there_are_32_published_cells():
    assert len(published_cells()) == 32


def test_the_published_curves_reach_every_branch_that_can_be_told_apart():
    """The smoothing and the extrapolation both matter for the 32 figures: without either some would differ."""
    points = [m for m in published_points() if m.attack == "ratio"]
    extrapolated = rough = 0
    for fuzzy in (m for m in points if m.kind == "replace"):
        curve = [m.auc for m in points if (m.model, m.seed, m.kind) == (fuzzy.model, fuzzy.seed, "exact")]
        extrapolated += bool(rho.paper(COPIES, curve, fuzzy.auc).extrapolated)
        rough += bool((np.diff(curve) < 0).any())
    assert extrapolated > 0
    assert rough > 0


@estimators
@pytest.mark.parametrize("copies", [COPIES, LAPTOP], ids=["every nu", "laptop"])
@given(start=st.floats(0, 0.5), slope=st.floats(0.001, 0.05))
def test_a_linear_curve_is_inverted_exactly(estimate, copies, start, slope):
    curve = start + slope * copies
    for nu in (1, 2, 3.7, 7, 10):
        result = estimate(copies, curve, start + slope * nu)
        assert float(result.nu_eq) == pytest.approx(nu, abs=1e-6)
        assert float(result.rho) == pytest.approx((nu - 1) / 9, abs=1e-6)
        assert not result.non_monotone
        assert not result.flat


def test_smoothing_leaves_a_linear_curve_given_at_some_levels_as_it_is():
    every, some = 0.5 + 0.04 * COPIES, 0.5 + 0.04 * LAPTOP
    for auc in np.linspace(0.4, 1.1, 36):
        assert rho.paper(LAPTOP, some, auc).nu_eq == pytest.approx(rho.paper(COPIES, every, auc).nu_eq, abs=1e-9)


@given(st.lists(st.floats(0.001, 0.05), min_size=10, max_size=10))
def test_isotonic_at_the_curves_own_values(steps):
    curve = np.round(0.4 + np.cumsum(steps), 6)
    np.testing.assert_allclose(rho.isotonic(COPIES, curve[None].repeat(10, 0), curve).rho, (COPIES - 1) / 9, atol=1e-9)


def test_paper_at_the_smoothed_curves_own_values():
    curve = np.array([0.55, 0.61, 0.64, 0.70, 0.78, 0.80, 0.85, 0.86, 0.91, 0.93])
    smooth = np.concatenate([curve[:1], np.convolve(curve, np.ones(3) / 3, "valid"), curve[-1:]])
    np.testing.assert_allclose(rho.paper(COPIES, curve[None].repeat(10, 0), smooth).rho, (COPIES - 1) / 9, atol=1e-9)


@given(st.lists(aucs, min_size=2, max_size=12))
def test_isotonic_fit_equals_sklearn(curve):
    expected = IsotonicRegression().fit_transform(np.arange(len(curve)), curve)
    np.testing.assert_allclose(rho.isotonic_fit(curve), expected, atol=1e-12)


@given(curves, aucs)
def test_isotonic_equals_inverting_the_fit_of_sklearn(curve, auc):
    fit = np.round(IsotonicRegression().fit_transform(COPIES, curve), 12)
    last = np.concatenate([np.flatnonzero(np.diff(fit) > 0), [9]])  # the last nu of every level stretch
    expected = COPIES[-1] if auc >= fit[-1] else 1 if auc < fit[0] else _inverse(fit, last, auc)
    assert rho.isotonic(COPIES, curve, auc).nu_eq == pytest.approx(expected, abs=1e-6)


def _inverse(fit, last, auc):
    below = last[fit[last] <= auc][-1]
    return COPIES[below] + (auc - fit[below]) / (fit[below + 1] - fit[below])


def published_formula(curve, auc):
    """One curve over 1..10 in exact fractions; None where the published formula divides by zero."""
    curve, auc = [Fraction(str(value)) for value in curve], Fraction(str(auc))
    c = {nu: sum(curve[nu - 2 : nu + 1]) / 3 if 1 < nu < 10 else curve[nu - 1] for nu in range(1, 11)}
    if auc <= c[1]:
        return max(Fraction(1), 1 + (auc - c[1]) / (c[2] - c[1])) if c[2] != c[1] else None
    if auc >= c[10]:
        slope = sum(abs(c[nu + 1] - c[nu]) for nu in (7, 8, 9)) / 3
        return 10 + (auc - c[10]) / slope if slope else None
    nu = max(nu for nu in range(1, 10) if c[nu] <= auc <= c[nu + 1])
    return nu + (auc - c[nu]) / (c[nu + 1] - c[nu]) if c[nu + 1] != c[nu] else None


def published_cases():
    """(exact curve, AUC) of all 4 models x 5 seeds x 5 attacks x 8 values of R."""
    curves = collections.defaultdict(dict)
    for point in (m for m in published_points() if m.kind == "exact"):
        curves[point.model, point.seed, point.attack][point.level] = point.auc
    fuzzy = [m for m in published_points() if m.kind == "replace"]
    return [([curves[m.model, m.seed, m.attack][nu] for nu in COPIES], m.auc) for m in fuzzy]


def test_paper_is_the_published_formula_on_all_800_published_values():
    cases = published_cases()
    expected = [published_formula(curve, auc) for curve, auc in cases]
    found = rho.paper(COPIES, np.array([curve for curve, _ in cases]), np.array([auc for _, auc in cases]))
    assert len(cases) == 800
    np.testing.assert_allclose(found.nu_eq, np.array(expected, dtype=float), rtol=1e-7)
    np.testing.assert_allclose(found.rho, (np.array(expected, dtype=float) - 1) / 9, atol=1e-7)


@given(curves, aucs, st.booleans())
def test_paper_is_the_published_formula_on_any_curve(curve, auc, own):
    auc = curve[int(auc * 9)] if own else auc  # ties with the curve itself are rare otherwise
    result, expected = rho.paper(COPIES, curve, auc), published_formula(curve, auc)
    if expected is None:
        assert result.flat or result.clamped
    else:
        assert result.nu_eq == pytest.approx(float(expected), rel=1e-6, abs=1e-6)


def test_above_the_last_exact_value_it_extrapolates_though_the_curve_falls_before():
    curve = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.95, 0.95, 0.9, 0.85])
    result = rho.paper(COPIES, curve, 0.87)
    assert result.extrapolated
    assert result.nu_eq == pytest.approx(10 + 0.02 / (0.1 / 3))


def test_below_the_first_exact_value_a_falling_first_step_goes_on():
    curve = np.array([0.7, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0])
    inside, beyond = rho.paper(COPIES, curve, np.array([0.675, 0.6])).nu_eq  # the step falls to .65
    assert (inside, beyond) == (pytest.approx(1.5), pytest.approx(3))
    np.testing.assert_array_equal(rho.paper(COPIES, curve, np.array([0.675, 0.6])).extrapolated, [False, True])


def test_the_last_of_several_crossings_counts():
    curve = np.array([0.5, 0.6, 0.7, 0.8, 0.7, 0.6, 0.5, 0.6, 0.7, 0.8])
    assert rho.paper(COPIES, curve, 0.7).nu_eq == pytest.approx(9)
    assert rho.paper(COPIES, curve, 0.7).non_monotone


def test_clamped_from_below_only():
    curve = 0.5 + 0.04 * COPIES
    below, above = rho.paper(COPIES, curve, 0.1), rho.paper(COPIES, curve, 0.98)
    assert (below.nu_eq, below.rho, below.clamped, below.extrapolated) == (1, 0, True, False)
    assert (above.clamped, above.extrapolated) == (False, True)
    assert above.nu_eq == pytest.approx(12)
    assert above.rho == pytest.approx(11 / 9)


def test_isotonic_is_clamped_at_both_ends():
    curve = 0.5 + 0.04 * COPIES
    result = rho.isotonic(COPIES, curve, np.array([0.1, 0.98, 0.7]))
    np.testing.assert_array_equal(result.clamped, [True, True, False])
    np.testing.assert_allclose(result.rho, [0, 1, (0.2 / 0.04 - 1) / 9])
    assert not result.extrapolated.any()


@estimators
@pytest.mark.parametrize("end", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("ends", [(0.6, 0.96), (1 / 3, 1.0), (0.1 + 0.2, 1 - 1e-13)], ids=["plain", "one", "rounding"])
def test_an_auc_equal_to_an_end_of_the_curve_is_clamped(estimate, ends, end):
    """It may stand for more copies, or fewer: AUCs of few canaries are often equal, most of all 1.000."""
    result = estimate(COPIES, np.linspace(*ends, 10), ends[end])
    assert (float(result.rho), bool(result.clamped)) == (-end, True)
    assert not result.flat
    assert not estimate(COPIES, np.linspace(*ends, 10), np.mean(ends)).clamped


@estimators
@pytest.mark.parametrize("auc", [0.3, 0.6, 0.9])
def test_a_constant_curve_gives_finite_values_and_a_flag(estimate, auc):
    result = estimate(COPIES, np.full(10, 0.6), auc)
    assert np.isfinite(result.nu_eq)
    assert result.flat or result.clamped
    assert result.clamped
    assert not result.extrapolated


@estimators
def test_a_saturated_curve_is_flagged_flat(estimate):
    curve = np.array([0.6, 0.8, 0.9, 0.95, 0.99, 1, 1, 1, 1, 1])
    result = estimate(COPIES, curve, 1.0)
    assert result.flat
    assert result.nu_eq == 10
    assert not estimate(COPIES, curve, 0.85).flat


@estimators
@given(curve=curves, auc=aucs, end=st.sampled_from([None, 0, -1]))
def test_always_finite_and_one_flag_at_most_tells_where(estimate, curve, auc, end):
    auc = auc if end is None else curve[end]  # ties with an end of the curve are rare otherwise
    result = estimate(COPIES, curve, auc)
    assert np.isfinite(result.nu_eq)
    assert np.isfinite(result.rho)
    assert result.nu_eq >= 1
    assert result.non_monotone == bool((np.diff(curve) < 0).any())
    assert not np.logical_and(result.clamped, result.extrapolated)
    if result.nu_eq == 1 or result.nu_eq >= 10:  # the curve does not say how far beyond its end
        assert result.clamped or result.extrapolated
    if estimate is rho.isotonic or auc > curve[0]:  # `paper` follows a falling first step
        assert bool(result.extrapolated) == bool(result.nu_eq > 10)


@estimators
@settings(max_examples=25)
@given(st.lists(curves, min_size=1, max_size=8), st.data())
def test_many_curves_at_once_equal_one_at_a_time(estimate, many, data):
    values = np.array([data.draw(aucs) for _ in many])
    together = estimate(COPIES, np.array(many), values)
    for i, (curve, auc) in enumerate(zip(many, values)):
        alone = estimate(COPIES, curve, auc)
        for name in rho.Rho._fields:
            np.testing.assert_array_equal(getattr(together, name)[i], getattr(alone, name))


@given(curves, aucs, aucs)
def test_isotonic_rho_grows_with_the_auc(curve, one, other):
    low, high = sorted((one, other))
    result = rho.isotonic(COPIES, np.stack([curve, curve]), np.array([low, high]))
    assert result.rho[0] <= result.rho[1]


@estimators
@pytest.mark.parametrize(
    ("copies", "curve", "auc", "message"),
    [
        ([2, 3], [0.5, 0.6], 0.5, "from 1"),
        ([1], [0.5], 0.5, "at least two"),
        ([1, 3, 2], [0.5, 0.6, 0.7], 0.5, "rising from 1"),
        ([1, 2.5], [0.5, 0.6], 0.5, "whole numbers"),
        ([1, 2, 3], [0.5, 0.6], 0.5, "2.* values for 3"),
        ([1, 2], [0.5, np.nan], 0.5, "finite"),
    ],
)
def test_bad_curves_are_refused(estimate, copies, curve, auc, message):
    with pytest.raises(ValueError, match=message):
        estimate(copies, curve, auc)
