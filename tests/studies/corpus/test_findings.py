"""The corpus study in words."""

import dataclasses

import numpy as np

from lib.studies.corpus import findings, tables
from tests.studies.corpus.toy import data


def test_words_say_what_the_figure_says() -> None:
    given_data = data()
    texts = findings.in_words(given_data, tables.make(given_data))
    assert texts[0] == (
        "A sequence repeated exactly about 100 times has on average 2 near-duplicates within Levenshtein distance 10 "
        "(± 0, 2 targets) and 1.5 within Hamming distance 10 (± 0.5, 2 targets), without exact copies. 50 % "
        "[50.0, 50.0] of the 4 by Levenshtein distance survive 50-gram deduplication."
    )
    assert texts[2].startswith("A random sequence of the corpus has on average 0 near-duplicates")
    assert texts[2].endswith("There are no near-duplicates that deduplication could remove.")
    assert "median target has: 1 exact copies, 2.5 with near-duplicates (about 100 copies); 1" in texts[3]
    assert texts[4] == "The whole corpus was scanned for near-duplicates of the targets; nothing is extrapolated."
    assert texts[5].startswith(f"The groups of exact duplicates are of chunk {', '.join(given_data.histograms)}:")
    assert "overlapping windows" in texts[5]


def test_deduplication_is_told_of_runs_that_a_target_has_room_to_share() -> None:
    """A run as long as the target is shared by no near-duplicate: that all survive would be true by definition."""
    for length, n in ((100, 50), (40, 20), (300, 50), (16, 10), (8, 8)):
        given = data(length=length)
        assert f"survive {n}-gram deduplication" in findings.in_words(given, tables.make(given))[0]


def test_warnings_name_few_targets_and_a_part_of_the_corpus() -> None:
    texts = findings.warnings(data(scanned_fraction=0.05))
    assert texts[0] == "A sequence repeated exactly about 100 times: only 2 targets."
    assert texts[-1].startswith("Only 5 % of the corpus")


def test_groups_of_the_whole_corpus_are_said_to_be_that() -> None:
    given = dataclasses.replace(data(), histograms={tables.WHOLE: (np.array([2]), np.array([5]))})
    words = findings.in_words(given, tables.make(given))[-1]
    assert words.startswith("The groups of exact duplicates are of all chunks that were scanned. They")
    assert tables.exact_table(given.histograms)["chunk"].tolist() == ["all"]


def test_targets_are_counted_as_they_were_drawn() -> None:
    assert findings.drawn(data()) == (
        "2 targets with 100 copies and 1 target with 1,000 copies, and 1 window at random,"
    )
    assert findings.drawn(data(bucket=np.array([0, 0, 0, 0]))) == "no targets, and 4 windows at random,"
