"""The tables of the exposure study against known worths, numpy and scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import TesseraError
from lib.studies.exposure import tables
from tests.studies.exposure.passages import WORTH, passages

SEEDS = [passages(seed) for seed in (1, 2, 3)]
DRAWS = np.random.default_rng(0).integers(0, 120, (60, 120))


@pytest.fixture(scope="module")
def conditions() -> pd.DataFrame:
    return tables.conditions_table(SEEDS, DRAWS)


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    return tables.predictions_table(SEEDS, DRAWS)


def test_a_near_duplicate_counts_as_what_it_was_made_to_count(conditions: pd.DataFrame) -> None:
    near = conditions[conditions["near"] > 0]
    assert len(near) == 4
    for row in near.itertuples():
        assert row.worth == pytest.approx(WORTH[row.kind], abs=0.03)
        assert row.worth_low - 0.03 <= WORTH[row.kind] <= row.worth_high + 0.03
        assert row.rho_true == pytest.approx(WORTH[row.kind])
        assert row.rho_none == 0
    assert conditions.loc[conditions["near"] == 0, "worth"].isna().all()


def test_means_of_a_condition_are_those_of_its_passages(conditions: pd.DataFrame) -> None:
    assert conditions["n_passages"].tolist() == [36] * 10
    for row in conditions.itertuples():
        key = (row.kind, row.setting, row.level, row.exact, row.near)
        gains = [gain for one in SEEDS for mine, gain in zip(one.conditions(), one.gain) if mine == key]
        assert row.gain == pytest.approx(np.mean(gains))
        assert row.low <= row.gain <= row.high
        spread = stats.norm.ppf(0.975) * np.std(gains) / np.sqrt(len(gains))
        assert row.high - row.low == pytest.approx(2 * spread, rel=0.4)


def test_correlations_are_those_of_scipy(predictions: pd.DataFrame) -> None:
    exact, near, gain = (np.concatenate([getattr(one, name) for one in SEEDS]) for name in ("exact", "near", "gain"))
    for subset, chosen in (("all", near >= 0), ("with near-duplicates", near > 0)):
        rows = predictions[(predictions["subset"] == subset) & (predictions["measure"] == "gain")].set_index(
            "predictor"
        )
        for name, x in ((tables.COUNT, exact), (tables.ALL_COPIES, exact + near)):
            assert rows["spearman"][name] == pytest.approx(stats.spearmanr(x[chosen], gain[chosen]).statistic)
            line = stats.linregress(np.log1p(x[chosen]), gain[chosen])
            assert rows["r2"][name] == pytest.approx(line.rvalue**2)


def test_what_made_the_gain_predicts_it_better_than_exact_copies(predictions: pd.DataFrame) -> None:
    rows = predictions[(predictions["subset"] == "all") & (predictions["measure"] == "gain")].set_index("predictor")
    true, none = rows.loc["exposure, ρ true"], rows.loc["exposure, ρ none"]
    assert true["r2"] > 0.99
    assert true["difference_low"] > 0.1
    assert true["difference_seeds_low"] > 0
    assert (none["difference"], none["difference_low"], none["r2_difference_high"]) == (0, 0, 0)
    assert np.isnan(rows["difference"][tables.COUNT])


def test_a_gain_beyond_the_curve_is_marked() -> None:
    one = passages(1)
    one.gain[one.near > 0] = 9.0
    found = tables.conditions_table([one], DRAWS)
    near = found[found["near"] > 0]
    assert near["clamped"].all()
    assert near["worth"].tolist() == pytest.approx([(10 - exact) / 9 for exact in near["exact"]])


@given(st.integers(0, 5), st.integers(1, 30))
def test_sampled_means_are_those_of_the_drawn_passages(seed: int, n: int) -> None:
    stream = np.random.default_rng(seed)
    values, chosen = stream.normal(size=(2, n)), stream.random((2, n)) < 0.5
    chosen[0, 0] = True
    draws = stream.integers(0, n, (4, n))
    for draw, mean in zip(draws, tables._sampled_mean(values, chosen, draws)):
        drawn = values[:, draw][chosen[:, draw]]
        assert mean == pytest.approx(drawn.mean() if len(drawn) else values[chosen].mean())


def test_seeds_of_other_passages_are_refused() -> None:
    with pytest.raises(TesseraError, match=r"seeds have \[10, 120\] passages"):
        tables.make([passages(1), passages(2, each=1)])
