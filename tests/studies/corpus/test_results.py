"""What the corpus study writes: the same bytes again, and figures of whatever there is."""

from pathlib import Path

import numpy as np

from lib.reporting import writer
from lib.studies.corpus import figures, results, tables
from tests.studies.corpus.toy import data

DESCRIPTION = writer.Description("Near-duplicates of a toy", provenance={"all": "by hand"})


def test_everything_is_written_and_twice_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        results.write(tmp_path / folder, "toy", data(), DESCRIPTION)
    one, two = (
        {path.relative_to(tmp_path / folder): path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.*"))}
        for folder in ("a", "b")
    )
    assert one == two
    wanted = {
        f"{name}.{kind}"
        for name in ("cumulative", "metrics", "survival", "exposure", "exact")
        for kind in ("png", "pdf", "svg")
    }
    wanted |= {f"{name}.csv" for name in ("cumulative", "metrics", "survival", "exposure", "exact", "targets")}
    assert wanted | {"report.html"} <= {path.name for path in one}
    page = (tmp_path / "a/sweeps/toy/report.html").read_text()
    assert "survive 50-gram deduplication" in page
    assert "<td>≤ 10</td>" not in page
    assert "50 % [50.0, 50.0]" in page
    assert page.count("<svg ") == 5
    assert "1 exact copies, 2.5 with near-duplicates (about 100 copies)" in page


def test_counts_have_their_standard_error_over_targets() -> None:
    rows = results.summary(tables.make(data()))[1]
    assert rows[0] == ["about 100 copies", "hamming", "0 ± 0", "1.5 ± 0.5"]  # two near one target, one near the other
    assert rows[2] == ["about 1,000 copies", "hamming", "0", "0"]  # one target has no standard error


def test_targets_are_shown_in_words_and_not_as_their_csv_has_them() -> None:
    shown = results.shown(tables.make(data()))[0]
    assert not any("_" in name for name in shown.header)
    assert shown.rows[1] == ["about 1,000 copies", "1", "1,001", "1,001", "1,001", "0", "2", "0"]


def test_few_sizes_of_groups_still_have_several_ticks() -> None:
    counts = {"0": (np.array([2, 3, 7, 40]), np.array([90, 20, 5, 1]))}
    (axes,) = figures.exact_figure(tables.exact_table(counts)).axes
    shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    assert shown == [2, 5, 10, 20]
    assert not any(axes.xaxis.get_minor_formatter().format_ticks(axes.get_xticks(minor=True)))  # none between them
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["the only chunk"]


def test_without_near_duplicates_or_optional_parts_there_are_still_figures() -> None:
    bare = tables.NearDuplicates(np.zeros(0, "<u4"), np.zeros(0, "<u2"))
    found = tables.make(data(near=dict.fromkeys(tables.METRICS, bare), histograms={}, exposure={}))
    assert set(found) == {"cumulative", "metrics", "targets"}
    assert (found["cumulative"]["mean"] == 0).all()
    assert [drawn.name for drawn in results.draw(found)] == ["cumulative", "metrics"]
