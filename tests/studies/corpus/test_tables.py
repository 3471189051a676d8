"""The near-duplicates analysis: tables against counting by hand, figures, report, the same bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.reporting import frames, writer
from lib.studies.corpus import findings, reading, tables
from lib.studies.corpus import results as corpus_results


def near(rows: list[tuple[int, int, int]]) -> tables.NearDuplicates:
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return tables.NearDuplicates(columns[0].astype("<u4"), columns[1].astype("<u2"), columns[2].astype("<u2"))


# (target, distance, longest common n-gram); targets 0 and 1 are of bucket 100, 2 of 1,000, 3 random.
HAMMING = [(0, 0, 100), (0, 0, 100), (0, 3, 60), (0, 9, 20), (1, 9, 50), (2, 0, 100)]
LEVENSHTEIN = [*HAMMING, (1, 4, 9), (2, 10, 49), (2, 10, 51)]


def data(**changes) -> tables.SlimpajamaData:
    values = {
        "bucket": np.array([100, 100, 1000, 0]), "count": np.array([95, 104, 1001, 1]), "length": 100,
        "max_distance": 10, "near": {"hamming": near(HAMMING), "levenshtein": near(LEVENSHTEIN)},
        "histograms": {"chunk-01": (np.array([2, 9]), np.array([40, 1])), "chunk-00": (np.array([2]), np.array([7]))},
    }  # fmt: skip
    return tables.SlimpajamaData(**{**values, **changes})


DESCRIPTION = writer.Description("Near-duplicates of a toy", provenance={"all": "by hand"})


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
    assert heads["survival"] == "bucket,metric,n,share,n_near_duplicates"
    assert heads["exact"] == "chunk,count,groups"
    assert set(heads) == {"cumulative", "metrics", "targets", "survival", "exact"}


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
    assert "5 % of the corpus" in findings.warnings(data(scanned_fraction=0.05))[-1]


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


def test_words_say_what_the_figure_says() -> None:
    given_data = data()
    said = findings.in_words(given_data, tables.make(given_data))
    assert said[0] == (
        "A sequence repeated about 100 times exactly has on average 2 near-duplicates within Levenshtein distance 10 "
        "(± 0, 2 targets), exact copies not counted; 1.5 within Hamming distance 10 (± 0.5, 2 targets). 50 % of these "
        "4 survive 50-gram deduplication."
    )
    assert said[2].startswith("A random sequence of the corpus has on average 0 near-duplicates")
    assert said[2].endswith("There is none for deduplication to remove.")
    assert said[3] == "All of the corpus was scanned; nothing is extrapolated."


def test_everything_is_written_and_twice_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        corpus_results.write(tmp_path / folder, "toy", data(), DESCRIPTION)
    one, two = (
        {path.relative_to(tmp_path / folder): path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*"))}
        for folder in ("a", "b")
    )
    assert one == two
    wanted = {f"{name}.{kind}" for name in ("cumulative", "metrics", "survival", "exact") for kind in ("png", "pdf")}
    wanted |= {f"{name}.csv" for name in ("cumulative", "metrics", "survival", "exact", "targets")}
    assert wanted | {"report.html"} <= {path.name for path in one}
    page = (tmp_path / "a/sweeps/toy/report.html").read_text()
    assert "survive 50-gram deduplication" in page
    assert "<td>≤ 10</td>" not in page
    assert page.count("data:image/png;base64") == 4


def test_without_near_duplicates_or_optional_parts_there_are_still_figures() -> None:
    bare = tables.NearDuplicates(np.zeros(0, "<u4"), np.zeros(0, "<u2"))
    found = tables.make(data(near=dict.fromkeys(tables.METRICS, bare), histograms={}))
    assert set(found) == {"cumulative", "metrics", "targets"}
    assert (found["cumulative"]["mean"] == 0).all()
    assert [drawn.name for drawn in corpus_results.draw(found)] == ["cumulative", "metrics"]


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TesseraError, match="target 4 of 4"):
        data(near={"hamming": near([(4, 1, 1)]), "levenshtein": near([])})
    with pytest.raises(TesseraError, match="distance 11 of at most 10"):
        data(near={"hamming": near([(0, 11, 1)]), "levenshtein": near([])})
    with pytest.raises(TesseraError, match=r"near-duplicates by \['hamming'\]"):
        data(near={"hamming": near([])})
    with pytest.raises(TesseraError, match="scanned_fraction 0"):
        data(scanned_fraction=0)


def write_files(folder: Path) -> tuple[Path, Path, Path, Path]:
    paths = tuple(folder / f"{name}.h5" for name in ("targets", "near_duplicates", "deduplication", "groups"))
    wanted = data()
    with hdf5.create(paths[0]) as file:
        hdf5.write(file, "bucket", wanted.bucket.astype("<u4"))
        hdf5.write(file, "count", wanted.count)
    for path, names in ((paths[1], ("target", "distance")), (paths[2], ("longest_common",))):
        with hdf5.create(path) as file:
            for metric, found in wanted.near.items():
                for name in names:
                    hdf5.write(file.require_group(metric), name, getattr(found, name))
            file.attrs.update(length=100, max_distance=10, n_targets=4, n_tokens=5000)
    with hdf5.create(paths[3]) as file:
        for name, values in zip(("count", "groups"), wanted.histograms["chunk-00"]):
            hdf5.write(file.require_group("histogram"), name, values)
    return paths


def test_files_are_read_into_the_same_tables(tmp_path: Path) -> None:
    targets, near_duplicates, deduplication, groups = write_files(tmp_path)
    read = reading.read(targets, near_duplicates, deduplication, {"chunk-00": groups}, scanned_fraction=0.5)
    wanted = data(scanned_fraction=0.5, histograms={"chunk-00": (np.array([2]), np.array([7]))})
    for name, table in tables.make(wanted).items():
        pd.testing.assert_frame_equal(tables.make(read)[name], table)


def test_files_of_different_runs_are_refused(tmp_path: Path) -> None:
    targets, near_duplicates, deduplication, _ = write_files(tmp_path)
    with hdf5.create(deduplication) as file:
        for metric in tables.METRICS:
            hdf5.write(file.create_group(metric), "longest_common", np.zeros(2, "<u2"))
    with pytest.raises(TesseraError, match="2 rows by hamming, but"):
        reading.read(targets, near_duplicates, deduplication)
    with hdf5.create(targets) as file:
        hdf5.write(file, "bucket", np.zeros(3, "<u4"))
        hdf5.write(file, "count", np.zeros(3, int))
    with pytest.raises(TesseraError, match=r"made from 4 targets, but .* has 3"):
        reading.read(targets, near_duplicates)
