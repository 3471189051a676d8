"""The tables of the corpus study against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.base.errors import TesseraError
from lib.reporting import frames
from lib.studies.corpus import tables
from tests.studies.corpus.toy import data, near


def row(table: pd.DataFrame, **key) -> pd.Series:
    for name, value in key.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_columns_stand_where_other_programs_expect_them() -> None:
    found = tables.make(data())
    heads = {name: frames.to_csv(table).splitlines()[0] for name, table in found.items()}
    assert heads["cumulative"] == (
        "bucket,metric,distance,mean,standard_error,mean_with_exact,standard_error_with_exact,n_targets,"
        "scanned_fraction,mean_extrapolated"
    )
    assert heads["survival"] == "bucket,metric,n,share,n_near_duplicates,low,high"
    assert heads["exact"] == "chunk,count,groups"
    assert set(heads) == {"cumulative", "metrics", "targets", "survival", "exposure", "exact"}
    assert heads["exposure"] == "bucket,target,exact,near,exposure,low,high"


def test_means_are_over_targets_with_and_without_exact_copies() -> None:
    table = tables.cumulative_table(data())
    at_nine = row(table, bucket=100, metric="hamming", distance=9)
    assert (at_nine["mean"], at_nine["mean_with_exact"], at_nine["n_targets"]) == (1.5, 2.5, 2)
    assert at_nine["standard_error"] == pytest.approx(0.5)  # of 2 and 1
    assert row(table, bucket=100, metric="hamming", distance=2)["mean"] == 0
    only = row(table, bucket=1000, metric="levenshtein", distance=10)
    assert only["mean"] == 2
    assert pd.isna(only["standard_error"])
    assert row(table, bucket=0, metric="levenshtein", distance=10)["mean"] == 0
    assert len(table) == 3 * 2 * 11
    assert (table["mean_extrapolated"] == table["mean"]).all()


def test_a_part_of_the_corpus_is_extrapolated_in_its_own_column() -> None:
    table = tables.cumulative_table(data(scanned_fraction=0.05))
    last = row(table, bucket=100, metric="hamming", distance=9)
    assert (last["mean"], last["mean_extrapolated"], last["scanned_fraction"]) == (1.5, pytest.approx(30), 0.05)


def test_hamming_against_levenshtein() -> None:
    table = tables.metrics_table(tables.cumulative_table(data()))
    last = row(table, bucket=100, distance=10)
    assert (last["hamming"], last["levenshtein"], last["ratio"]) == (1.5, 2.0, pytest.approx(4 / 3))
    assert last["ratio_with_exact"] == pytest.approx(3 / 2.5)
    assert pd.isna(row(table, bucket=1000, distance=10)["ratio"])


def test_survival_is_the_share_of_shorter_common_ngrams() -> None:
    table = tables.survival_table(data())
    assert sorted(set(table["n"])) == list(range(10, 101))
    hundred = {n: row(table, bucket=100, metric="levenshtein", n=n)["share"] for n in (10, 20, 21, 50, 51, 61, 100)}
    assert hundred == {10: 0.25, 20: 0.25, 21: 0.5, 50: 0.5, 51: 0.75, 61: 1, 100: 1}
    none = row(table, bucket=0, metric="levenshtein", n=50)
    assert pd.isna(none["share"])
    assert none["n_near_duplicates"] == 0
    short = data(length=7, near={metric: near([(0, 1, 3)]) for metric in tables.METRICS})
    assert set(tables.survival_table(short)["n"]) == {7}


def test_the_interval_of_survival_draws_targets_with_all_of_their_near_duplicates() -> None:
    table = tables.survival_table(data())
    # both targets share no 20 tokens with 0 and 1 of their two near-duplicates: a draw has 0, 0.25, 0.25 or 0.5
    assert row(table, bucket=100, metric="levenshtein", n=20)[["low", "high"]].tolist() == [0, 0.5]
    for key in ({"n": 100}, {"n": 50, "bucket": 1000}):  # all survive; one target
        assert row(table, **{"bucket": 100, "metric": "levenshtein", **key})[["low", "high"]].isna().all()


def test_the_interval_of_survival_is_that_of_scipy() -> None:
    stream = np.random.default_rng(5)
    entries = [(target, 3, int(run)) for target in range(30) for run in stream.integers(target, 100, target % 7)]
    sides = dict.fromkeys(tables.METRICS, near(entries))
    table = tables.survival_table(data(bucket=np.full(30, 10), count=np.full(30, 10), near=sides))
    for n in (30, 60):
        pairs = [[sum(e[0] == t and e[2] < cut for e in entries) for t in range(30)] for cut in (n, 101)]
        expected = stats.bootstrap(
            pairs,
            lambda part, whole, axis: part.sum(axis) / whole.sum(axis),
            paired=True,
            method="percentile",
            n_resamples=4000,
            rng=stream,
        ).confidence_interval
        assert row(table, metric="hamming", n=n)[["low", "high"]].tolist() == pytest.approx(expected, abs=0.03)


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10), st.integers(0, 100)), max_size=12)


@settings(max_examples=25)
@given(rows, rows)
def test_tables_equal_counting_one_by_one(hamming, levenshtein) -> None:
    sides = {"hamming": hamming, "levenshtein": levenshtein}
    given_data = data(near={metric: near(side) for metric, side in sides.items()})
    cumulative, survival = tables.cumulative_table(given_data), tables.survival_table(given_data)
    for metric, side in sides.items():
        for bucket, members in ((100, {0, 1}), (1000, {2}), (0, {3})):
            mine = [entry for entry in side if entry[0] in members and entry[1] > 0]
            at = row(cumulative, bucket=bucket, metric=metric, distance=6)
            assert at["mean"] == sum(distance <= 6 for _, distance, _ in mine) / len(members)
            share = row(survival, bucket=bucket, metric=metric, n=50)["share"]
            assert pd.isna(share) if not mine else share == np.mean([longest < 50 for *_, longest in mine])


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TesseraError, match="target 4 of 4"):
        data(near={"hamming": near([(4, 1, 1)]), "levenshtein": near([])})
    with pytest.raises(TesseraError, match="distance 11 of at most 10"):
        data(near={"hamming": near([(0, 11, 1)]), "levenshtein": near([])})
    with pytest.raises(TesseraError, match=r"near-duplicates by \['hamming'\]"):
        data(near={"hamming": near([])})
    with pytest.raises(TesseraError, match="scanned_fraction is 0"):
        data(scanned_fraction=0)
