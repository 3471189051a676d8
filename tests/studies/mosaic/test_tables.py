import csv
import io
import itertools
import logging

import h5py
import numpy as np
import pandas as pd
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.reporting import frames
from lib.statistics import rho, roc
from lib.studies.mosaic import delong, measure, summaries, words
from lib.studies.mosaic import rho_rows as mosaic_rho_rows
from lib.studies.mosaic.measure import Record

COPIES = (1, 3, 5, 7, 10)
REPLACED = (1, 10, 50)
N = 40


def scores(strength: float, stream: np.random.Generator) -> np.ndarray:
    return np.round(stream.normal(strength, 1, N), 2)


def record(
    model="m", seed=1, kind="exact", level=1, strength=0.0, names=("loss", "ratio", "ratio_paper"), setting="", **more
):
    stream = np.random.default_rng([seed, int(100 * level), len(kind), *setting.encode()])
    members = {name: scores(strength, stream) for name in names}
    return Record(
        {"model": model, "seed": seed, "kind": kind, "level": level, **({"setting": setting} if setting else {})},
        members,
        {name: scores(0, stream) for name in names},
        effective_copies=level * 0.9,
        **more,
    )


def sweep(models=("m",), seeds=(1, 2)):
    pairs = list(itertools.product(models, seeds))
    exact = [record(m, s, "exact", nu, 0.25 * nu) for m, s in pairs for nu in COPIES]
    fuzzy = [record(m, s, "replace", r, 2.0 - 0.03 * r, nominal_copies=10) for m, s in pairs for r in REPLACED]
    return exact + fuzzy


@pytest.fixture(scope="module")
def measurements():
    return measure.measure(sweep(), seed=7, n_bootstrap=100)


@pytest.fixture(scope="module")
def rho_rows(measurements):
    return mosaic_rho_rows.rho_table(measurements)


def test_columns_stand_where_other_programs_expect_them(measurements, rho_rows):
    columns = (
        "model,seed,attack,variant,kind,level,setting,n_members,nominal_copies,effective_copies,auc,auc_low,auc_high,"
        "tpr_at_fpr_0.1,tpr_at_fpr_0.01,tpr_at_fpr_0.001"
    )
    more = (
        "estimator,n_seeds,nu_max,nu_eq,rho,rho_low,rho_high,rho_std,rho_seeds_low,rho_seeds_high,"
        "clamped,extrapolated,flat,non_monotone"
    )
    assert frames.to_csv(measure.auc_table(measurements)).splitlines()[0] == columns
    assert frames.to_csv(rho_rows).splitlines()[0] == f"{columns},{more}"


def test_auc_rows_equal_the_statistics_of_the_scores(measurements):
    table = measure.auc_table(measurements)
    assert len(table) == 2 * (len(COPIES) + len(REPLACED)) * 3
    for one in sweep():
        rows = table[
            (table[["seed", "kind", "level"]] == [one.labels[k] for k in ("seed", "kind", "level")]).all(axis=1)
        ]
        assert set(zip(rows["attack"], rows["variant"])) == {
            ("loss", "corrected"), ("ratio", "corrected"), ("ratio", "paper"),
        }  # fmt: skip
        row = rows[(rows["attack"] == "ratio") & (rows["variant"] == "paper")].iloc[0]
        arrays = one.members["ratio_paper"], one.non_members["ratio_paper"]
        assert row["auc"] == roc.auc(*arrays)
        assert row["tpr_at_fpr_0.1"] == roc.tpr_at_fpr(*arrays, 0.1)
        assert row["auc_low"] < row["auc"] < row["auc_high"] or row["auc"] in (0, 1)
        assert row["n_members"] == N
        assert row["effective_copies"] == one.effective_copies
        assert row["nominal_copies"] == (one.labels["level"] if one.labels["kind"] == "exact" else 10)


def test_rho_uses_the_exact_curve_of_its_own_seed_attack_and_variant(measurements, rho_rows):
    auc = measure.auc_table(measurements)
    seeds = rho_rows[rho_rows["seed"].notna()]
    assert len(seeds) == 2 * len(REPLACED) * 3 * 2
    for row in seeds.itertuples():
        same = auc[(auc[["seed", "attack", "variant"]] == [row.seed, row.attack, row.variant]).all(axis=1)]
        curve = same[same["kind"] == "exact"].sort_values("level")
        estimate = rho.ESTIMATORS[row.estimator](curve["level"], curve["auc"], row.auc)
        assert row.rho == pytest.approx(float(estimate.rho), abs=1e-12)
        assert row.nu_max == 10
        assert row.clamped == bool(estimate.clamped)


def test_the_interval_of_rho_goes_through_the_curve(measurements):
    """Resampling canaries by hand, with the same draws for every level, gives the interval of the table."""
    chosen = {m.key: m for m in measurements if m.seed == 1 and m.attack == "loss"}
    curve = np.stack([m.samples for m in chosen.values() if m.kind == "exact"], axis=1)
    (fuzzy,) = [m for m in chosen.values() if m.kind == "replace" and m.level == 10]
    by_hand = [float(rho.isotonic(COPIES, c, a).rho) for c, a in zip(curve, fuzzy.samples)]
    table = mosaic_rho_rows.rho_table(chosen.values())
    row = table[(table["estimator"] == "isotonic") & (table["level"] == 10) & (table["seed"] == 1)].iloc[0]
    assert (row["rho_low"], row["rho_high"]) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=1e-12)


def test_settings_over_the_same_canaries_are_resampled_together():
    first = record(level=1, strength=0.5)
    twin = Record({**first.labels, "kind": "replace"}, first.members, first.non_members)
    one, other = (measure.measure([r], seed=3, n_bootstrap=50)[0].samples for r in (first, twin))
    np.testing.assert_array_equal(one, other)
    elsewhere = Record({**first.labels, "seed": 2}, first.members, first.non_members)
    assert (measure.measure([elsewhere], seed=3, n_bootstrap=50)[0].samples != one).any()


def test_mean_rows_have_an_empty_seed_and_the_population_standard_deviation(rho_rows):
    means = rho_rows[rho_rows["seed"].isna()]
    assert len(means) == len(REPLACED) * 3 * 2
    for row in means.itertuples():
        keys = ["model", "attack", "variant", "kind", "level", "estimator"]
        same = (rho_rows[keys] == [getattr(row, key) for key in keys]).all(axis=1) & rho_rows["seed"].notna()
        values = rho_rows[same]["rho"].to_numpy()
        assert row.rho == pytest.approx(values.mean())
        assert row.rho_std == pytest.approx(np.sqrt(((values - values.mean()) ** 2).mean()), abs=1e-12)
        assert row.n_seeds == 2
        assert row.rho_low <= row.rho_high
    assert rho_rows[rho_rows["seed"].notna()]["rho_std"].isna().all()


def test_order_does_not_depend_on_the_order_of_records(rho_rows):
    records = sweep()
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    table = mosaic_rho_rows.rho_table(measure.measure(shuffled, seed=7, n_bootstrap=100))
    assert frames.to_csv(table) == frames.to_csv(rho_rows)


def test_a_curve_without_its_end_leaves_rho_empty_and_says_so(caplog):
    """nu_max is that of the model: a seed that lacks it would be normalised by another number."""
    records = [
        r for r in sweep() if not (r.labels["seed"] == 2 and r.labels["kind"] == "exact" and r.labels["level"] == 10)
    ]
    with caplog.at_level(logging.WARNING):
        table = mosaic_rho_rows.rho_table(measure.measure(records, seed=7, n_bootstrap=20))
    assert "lacks nu = 10" in caplog.text
    assert table[table["seed"] == 2]["rho"].isna().all()
    assert table[table["seed"] == 1]["rho"].notna().all()
    assert (table[table["seed"].isna()]["n_seeds"] == 1).all()


def test_fuzzy_records_alone_leave_rho_empty(caplog):
    fuzzy = [r for r in sweep() if r.labels["kind"] == "replace"]
    with caplog.at_level(logging.WARNING):
        table = mosaic_rho_rows.rho_table(measure.measure(fuzzy, seed=7, n_bootstrap=20))
    assert "no exact records" in caplog.text
    assert table["rho"].isna().all()
    assert table["seed"].notna().all()


def test_the_model_before_injection_is_no_point_of_the_curve():
    zero = record(kind="exact", level=0)
    with_zero = mosaic_rho_rows.rho_table(measure.measure([*sweep(seeds=(1,)), zero], seed=7, n_bootstrap=20))
    without = mosaic_rho_rows.rho_table(measure.measure(sweep(seeds=(1,)), seed=7, n_bootstrap=20))
    pd.testing.assert_frame_equal(with_zero, without)


def test_bad_records_are_named():
    with pytest.raises(TesseraError, match=r"two records for .*'level': 1"):
        measure.measure([record(), record()], seed=0, n_bootstrap=5)
    bad = record()
    bad.members["ratio"][3] = np.nan
    with pytest.raises(TesseraError, match=r"'seed': 1.*score 'ratio': .*row 3 is NaN"):
        measure.measure([bad], seed=0, n_bootstrap=5)
    empty = Record(bad.labels, {"loss": np.zeros(0)}, {"loss": np.zeros(3)})
    with pytest.raises(TesseraError, match="score 'loss'"):
        measure.measure([empty], seed=0, n_bootstrap=5)
    lopsided = Record(bad.labels, {"loss": np.zeros(3)}, {})
    with pytest.raises(TesseraError, match="different scores"):
        measure.measure([lopsided], seed=0, n_bootstrap=5)


def test_files_have_the_same_bytes_and_hold_the_same_numbers(tmp_path, rho_rows):
    for name in ("a", "b"):
        frames.write_csv(tmp_path / f"{name}.csv", rho_rows)
        frames.write_hdf5(tmp_path / f"{name}.h5", rho_rows)
    for suffix in ("csv", "h5"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    pd.testing.assert_frame_equal(frames.read_csv(tmp_path / "a.csv"), rho_rows, rtol=1e-7)
    np.testing.assert_array_equal(hdf5.read(tmp_path / "a.h5", "rho"), rho_rows["rho"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["columns"].split(",") == list(rho_rows.columns)
        empty = file["seed"][()] == file.attrs["empty_integer"]
        assert file["model"][0] == b"m"
    np.testing.assert_array_equal(empty, rho_rows["seed"].isna())


def test_csv_reads_as_plain_text(rho_rows):
    text = frames.to_csv(rho_rows)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert "\r" not in text
    assert {row["seed"] for row in rows} == {"1", "2", ""}
    assert {row["clamped"] for row in rows} <= {"True", "False"}
    assert all(row["level"].isdigit() for row in rows)


def test_a_table_without_rows_can_be_written_and_read(tmp_path):
    empty = mosaic_rho_rows.rho_table([])
    frames.write_csv(tmp_path / "rho.csv", empty)
    frames.write_hdf5(tmp_path / "rho.h5", empty)
    assert list(frames.read_csv(tmp_path / "rho.csv").columns) == list(mosaic_rho_rows.RHO_COLUMNS)
    assert hdf5.rows(tmp_path / "rho.h5")["rho"] == 0


def test_reading_what_is_no_table(tmp_path):
    with pytest.raises(TesseraError, match=r"none\.csv"):
        frames.read_csv(tmp_path / "none.csv")


def test_summary_has_a_row_for_each_attack(rho_rows):
    header, rows = summaries.summary(rho_rows)
    assert header == ["model", "attack", "R=1", "R=10", "R=50"]
    assert [row[:2] for row in rows] == [["m", "loss"], ["m", "ratio"]]
    chosen = rho_rows[rho_rows["seed"].isna() & (rho_rows["estimator"] == "isotonic") & (rho_rows["attack"] == "loss")]
    assert rows[0][2:] == [f"{value:.3f}" for value in chosen.sort_values("level")["rho"]]


def ablated(seeds=(1, 2)):
    """A learning rate with exact copies of its own, and shuffles in two settings, which have none."""
    pairs = [(s, nu) for s in seeds for nu in (1, 4)]
    own = [record("m", s, "exact", nu, 0.6 * nu, setting="learning_rate=0.1") for s, nu in pairs]
    own += [record("m", s, "replace", 10, 1.2, setting="learning_rate=0.1", nominal_copies=10) for s in seeds]
    shuffled = [
        record("m", s, "shuffle", tau, 1.5 - tau, setting=setting, nominal_copies=10)
        for s in seeds for tau in (0.1, 0.25) for setting in ("ngram=2", "ngram=10")
    ]  # fmt: skip
    return [*sweep(seeds=seeds), *own, *shuffled]


@pytest.fixture(scope="module")
def ablated_measurements():
    return measure.measure(ablated(), seed=7, n_bootstrap=50)


def test_a_setting_is_held_against_its_own_exact_curve_if_it_has_one(ablated_measurements):
    auc = {(m.seed, m.attack, m.variant, m.kind, m.level, m.setting): m.auc for m in ablated_measurements}
    rows = mosaic_rho_rows.rho_table(ablated_measurements)
    rows = rows[rows["seed"].notna() & (rows["setting"] != "")]
    assert set(rows["setting"]) == {"learning_rate=0.1", "ngram=2", "ngram=10"}
    for row in rows.itertuples():
        own = row.setting if row.setting.startswith("learning") else ""
        curve = {key[4]: value for key, value in auc.items()
                 if (key[:4], key[5]) == ((row.seed, row.attack, row.variant, "exact"), own)}  # fmt: skip
        expected = rho.ESTIMATORS[row.estimator](sorted(curve), [curve[nu] for nu in sorted(curve)], row.auc)
        assert row.rho == pytest.approx(float(expected.rho), abs=1e-12)
        assert row.nu_max == (4 if own else 10)


def test_a_seed_without_its_settings_curve_gets_no_other(ablated_measurements, caplog):
    mine = [m for m in ablated_measurements if not (m.seed == 2 and m.kind == "exact" and m.setting)]
    with caplog.at_level(logging.WARNING):
        table = mosaic_rho_rows.rho_table(mine)
    rows = table[table["setting"] == "learning_rate=0.1"]
    assert rows[rows["seed"] == 2]["rho"].isna().all()
    assert rows[rows["seed"] == 1]["rho"].notna().all()


def test_a_curve_that_is_planned_and_not_done_is_replaced_by_no_other(ablated_measurements, caplog):
    """Of a part of a sweep: neither the default's curve (of other canaries, or another training), nor a shorter one."""
    planned = {("m", ""): 10, ("m", "learning_rate=0.1"): 4}
    whole = mosaic_rho_rows.rho_table(ablated_measurements, planned)
    pd.testing.assert_frame_equal(whole, mosaic_rho_rows.rho_table(ablated_measurements))
    without = [m for m in ablated_measurements if not (m.kind == "exact" and m.setting)]
    rows = mosaic_rho_rows.rho_table(without, planned)
    assert rows[rows["setting"] == "learning_rate=0.1"]["rho"].isna().all()
    assert rows[rows["setting"] == "ngram=2"]["rho"].notna().all()
    shorter = [m for m in ablated_measurements if not (m.kind == "exact" and m.level == 10)]
    assert mosaic_rho_rows.rho_table(shorter)["rho"].notna().any()
    with caplog.at_level(logging.WARNING):
        rows = mosaic_rho_rows.rho_table(shorter, planned)
    assert rows[rows["setting"] != "learning_rate=0.1"]["rho"].isna().all()
    assert "its exact curve lacks nu = 10" in caplog.text


def test_settings_are_no_part_of_one_another(ablated_measurements, rho_rows):
    table = mosaic_rho_rows.rho_table(ablated_measurements)
    default = table[table["setting"] == ""].reset_index(drop=True)
    mine = ["model", "seed", "attack", "variant", "kind", "level", "estimator", "auc", "rho"]
    pd.testing.assert_frame_equal(default[mine], rho_rows[mine])


def test_levels_are_written_as_people_write_them(ablated_measurements, tmp_path):
    table = mosaic_rho_rows.rho_table(ablated_measurements)
    frames.write_csv(tmp_path / "rho.csv", table)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rho.csv").read_text())))
    assert {row["level"] for row in rows if row["kind"] == "shuffle"} == {"0.1", "0.25"}
    assert {row["level"] for row in rows if row["kind"] == "replace"} == {"1", "10", "50"}
    pd.testing.assert_frame_equal(frames.read_csv(tmp_path / "rho.csv"), table, rtol=1e-7)


def test_summary_has_a_row_for_each_setting_in_the_order_of_numbers(ablated_measurements):
    table = mosaic_rho_rows.rho_table(ablated_measurements)
    header, rows = summaries.summary(table, kind="shuffle")
    assert header == ["model", "setting", "attack", "τ=0.1", "τ=0.25"]
    names = ("loss", "ratio")
    assert [row[:3] for row in rows] == [["m", f"ngram={n}", attack] for n in (2, 10) for attack in names]
    assert [row[2] for row in summaries.summary(table, kind="shuffle", attack="ratio")[1]] == ["ratio"] * 2
    chosen = table[table["seed"].isna() & (table["setting"] == "ngram=10") & (table["attack"] == "ratio")]
    chosen = chosen[(chosen["estimator"] == "isotonic") & (chosen["variant"] == "corrected")]
    assert rows[3][3:] == [f"{value:.3f}" for value in chosen.sort_values("level")["rho"]]


def test_settings_in_order():
    found = ["k=random", "k=1000", "", "k=10", "k=100", "ngram=2;method=paper", "ngram=2", "inserted_tokens=inf"]
    assert words.ordered_settings([*found, "k=10"]) == [
        "", "inserted_tokens=inf", "k=10", "k=100", "k=1000", "k=random", "ngram=2", "ngram=2;method=paper",
    ]  # fmt: skip


def test_delong_compares_with_the_loss_on_the_same_canaries():
    records = sweep(seeds=(1,))[:2]
    table = delong.delong_table(records)
    assert list(table.columns) == list(delong.DELONG_COLUMNS)
    assert len(table) == 2 * 2
    one = records[0]
    row = table[(table["level"] == 1) & (table["variant"] == "paper")].iloc[0]
    test = roc.delong_test(
        one.members["ratio_paper"], one.non_members["ratio_paper"], one.members["loss"], one.non_members["loss"]
    )
    assert row["p_value"] == test.p_value
    assert row["difference"] == pytest.approx(row["auc"] - row["baseline_auc"])


def test_delong_summary_shows_the_most_exact_copies():
    table = delong.delong_table(sweep())
    header, rows = summaries.delong_summary(table)
    assert header[:3] == ["model", "attack", "seed"]
    assert [row[:3] for row in rows] == [["m", "ratio", "1"], ["m", "ratio", "2"]]
    chosen = table[(table["kind"] == "exact") & (table["level"] == 10) & (table["variant"] == "corrected")]
    assert [row[3] for row in rows] == [f"{auc:.3f}" for auc in chosen["auc"]]
