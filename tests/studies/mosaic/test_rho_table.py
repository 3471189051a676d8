"""The table `rho`: which exact curve it is read off, its intervals, means over seeds, what stays empty."""

import logging

import numpy as np
import pandas as pd
import pytest

from lib.reporting import frames
from lib.statistics import rho
from lib.studies.mosaic import auc_table, measurements, rho_table
from tests.studies.mosaic.small_sweep import COPIES, REPLACED, record, sweep


def test_columns_stand_where_other_programs_expect_them(measured, rho_of_sweep):
    columns = frames.to_csv(auc_table.make(measured)).splitlines()[0].removesuffix(",at_chance")
    assert frames.to_csv(rho_of_sweep).splitlines()[0] == (
        f"{columns},estimator,n_seeds,nu_max,nu_eq,rho,rho_low,rho_high,rho_std,rho_seeds_low,rho_seeds_high,"
        "clamped,extrapolated,flat,non_monotone,at_chance"
    )


def test_rho_uses_the_exact_curve_of_its_own_seed_attack_and_variant(measured, rho_of_sweep):
    auc = auc_table.make(measured)
    seeds = rho_of_sweep[rho_of_sweep["seed"].notna()]
    assert len(seeds) == 2 * len(REPLACED) * 3 * 2
    for row in seeds.itertuples():
        same = auc[(auc[["seed", "attack", "variant"]] == [row.seed, row.attack, row.variant]).all(axis=1)]
        curve = same[same["kind"] == "exact"].sort_values("level")
        estimate = rho.ESTIMATORS[row.estimator](curve["level"], curve["auc"], row.auc)
        assert row.rho == pytest.approx(float(estimate.rho), abs=1e-12)
        assert row.nu_max == 10
        assert row.clamped == bool(estimate.clamped)


def test_the_interval_of_rho_goes_through_the_curve(measured):
    """Resampling canaries by hand, with the same draws for every level, gives the interval of the table."""
    chosen = {m.key: m for m in measured if m.seed == 1 and m.attack == "loss"}
    curve = np.stack([m.samples for m in chosen.values() if m.kind == "exact"], axis=1)
    (fuzzy,) = [m for m in chosen.values() if m.kind == "replace" and m.level == 10]
    by_hand = [float(rho.isotonic(COPIES, c, a).rho) for c, a in zip(curve, fuzzy.samples)]
    table = rho_table.make(chosen.values())
    row = table[(table["estimator"] == "isotonic") & (table["level"] == 10) & (table["seed"] == 1)].iloc[0]
    assert (row["rho_low"], row["rho_high"]) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=1e-12)


def test_mean_rows_have_an_empty_seed_and_the_population_standard_deviation(rho_of_sweep):
    means = rho_of_sweep[rho_of_sweep["seed"].isna()]
    assert len(means) == len(REPLACED) * 3 * 2
    for row in means.itertuples():
        keys = ["model", "attack", "variant", "kind", "level", "estimator"]
        same = (rho_of_sweep[keys] == [getattr(row, key) for key in keys]).all(axis=1) & rho_of_sweep["seed"].notna()
        values = rho_of_sweep[same]["rho"].to_numpy()
        assert row.rho == pytest.approx(values.mean())
        assert row.rho_std == pytest.approx(np.sqrt(((values - values.mean()) ** 2).mean()), abs=1e-12)
        assert row.n_seeds == 2
        assert row.rho_low <= row.rho_high
    assert rho_of_sweep[rho_of_sweep["seed"].notna()]["rho_std"].isna().all()
    single = rho_table.make(measurements.measure(sweep(seeds=(1,)), seed=7, n_bootstrap=10))
    assert single["rho"].notna().all()
    assert single["rho_std"].isna().all()


def test_order_does_not_depend_on_the_order_of_records(rho_of_sweep):
    records = sweep()
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    table = rho_table.make(measurements.measure(shuffled, seed=7, n_bootstrap=100))
    assert frames.to_csv(table) == frames.to_csv(rho_of_sweep)


def test_a_curve_without_its_end_leaves_rho_empty_and_says_so(caplog):
    """nu_max is that of the model: a seed that lacks it would be normalised by another number."""
    records = [
        r for r in sweep() if not (r.labels["seed"] == 2 and r.labels["kind"] == "exact" and r.labels["level"] == 10)
    ]
    with caplog.at_level(logging.WARNING):
        table = rho_table.make(measurements.measure(records, seed=7, n_bootstrap=20))
    assert "has no nu = 10" in caplog.text
    assert table[table["seed"] == 2]["rho"].isna().all()
    assert table[table["seed"] == 1]["rho"].notna().all()
    assert (table[table["seed"].isna()]["n_seeds"] == 1).all()


def test_fuzzy_records_alone_leave_rho_empty(caplog):
    fuzzy = [r for r in sweep() if r.labels["kind"] == "replace"]
    with caplog.at_level(logging.WARNING):
        table = rho_table.make(measurements.measure(fuzzy, seed=7, n_bootstrap=20))
    assert "its model has no exact copies" in caplog.text
    assert table["rho"].isna().all()
    assert table["seed"].notna().all()


def test_the_model_before_injection_is_no_point_of_the_curve():
    zero = record(kind="exact", level=0)
    with_zero = rho_table.make(measurements.measure([*sweep(seeds=(1,)), zero], seed=7, n_bootstrap=20))
    without = rho_table.make(measurements.measure(sweep(seeds=(1,)), seed=7, n_bootstrap=20))
    pd.testing.assert_frame_equal(with_zero, without)


def test_a_setting_is_held_against_its_own_exact_curve_if_it_has_one(ablated_measured):
    auc = {(m.seed, m.attack, m.variant, m.kind, m.level, m.setting): m.auc for m in ablated_measured}
    rows = rho_table.make(ablated_measured)
    rows = rows[rows["seed"].notna() & (rows["setting"] != "")]
    assert set(rows["setting"]) == {"learning_rate=0.1", "ngram=2", "ngram=10"}
    for row in rows.itertuples():
        own = row.setting if row.setting.startswith("learning") else ""
        curve = {key[4]: value for key, value in auc.items()
                 if (key[:4], key[5]) == ((row.seed, row.attack, row.variant, "exact"), own)}  # fmt: skip
        expected = rho.ESTIMATORS[row.estimator](sorted(curve), [curve[nu] for nu in sorted(curve)], row.auc)
        assert row.rho == pytest.approx(float(expected.rho), abs=1e-12)
        assert row.nu_max == (4 if own else 10)


def test_a_seed_without_its_settings_curve_gets_no_other(ablated_measured, caplog):
    mine = [m for m in ablated_measured if not (m.seed == 2 and m.kind == "exact" and m.setting)]
    with caplog.at_level(logging.WARNING):
        table = rho_table.make(mine)
    rows = table[table["setting"] == "learning_rate=0.1"]
    assert rows[rows["seed"] == 2]["rho"].isna().all()
    assert rows[rows["seed"] == 1]["rho"].notna().all()


def test_a_curve_that_is_planned_and_not_done_is_replaced_by_no_other(ablated_measured, caplog):
    """Of a part of a sweep: neither the default's curve (of other canaries, or another training), nor a shorter one."""
    planned = {("m", ""): 10, ("m", "learning_rate=0.1"): 4}
    whole = rho_table.make(ablated_measured, planned)
    pd.testing.assert_frame_equal(whole, rho_table.make(ablated_measured))
    without = [m for m in ablated_measured if not (m.kind == "exact" and m.setting)]
    rows = rho_table.make(without, planned)
    assert rows[rows["setting"] == "learning_rate=0.1"]["rho"].isna().all()
    assert rows[rows["setting"] == "ngram=2"]["rho"].notna().all()
    shorter = [m for m in ablated_measured if not (m.kind == "exact" and m.level == 10)]
    assert rho_table.make(shorter)["rho"].notna().any()
    with caplog.at_level(logging.WARNING):
        rows = rho_table.make(shorter, planned)
    assert rows[rows["setting"] != "learning_rate=0.1"]["rho"].isna().all()
    assert "its exact curve has no nu = 10" in caplog.text


def test_settings_are_no_part_of_one_another(ablated_measured, rho_of_sweep):
    table = rho_table.make(ablated_measured)
    default = table[table["setting"] == ""].reset_index(drop=True)
    mine = ["model", "seed", "attack", "variant", "kind", "level", "estimator", "auc", "rho"]
    pd.testing.assert_frame_equal(default[mine], rho_of_sweep[mine])


def test_an_auc_that_may_be_one_half_flags_the_estimate_and_its_mean():
    """Scores that say nothing (strength 0 at every level) beside scores that do."""
    found = [record("m", s, "exact", nu, 0.25 * nu, ("loss",)) for s in (1, 2) for nu in COPIES]
    found += [record("m", s, "replace", r, x, ("loss",)) for s in (1, 2) for r, x in ((1, 2.0), (50, 0.0))]
    table = rho_table.make(measurements.measure(found, seed=7, n_bootstrap=200))
    assert (table["at_chance"] == ((table["auc_low"] <= 0.5) & (table["auc_high"] >= 0.5))).all()
    assert not table[table["level"] == 1]["at_chance"].any()
    assert rho_table.flagged(table[table["level"] == 50]).any()
    marked = [rho_table.is_flagged(row) for row in table.to_dict("records")]
    assert marked == list(rho_table.flagged(table))
    assert list(rho_table.flagged(table.drop(columns="at_chance"))) != marked
