"""The tables of the dedup study, against loops over what was found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.corpus.cleaning.ranges import AGAINST, DOCUMENT, EXACT, NEAR
from lib.studies.dedup import findings, results, shown, tables
from lib.studies.dedup.tables import Removed, Sought

REMOVED = Removed(
    {"tokens": 1000, "gone_tokens": 150, "documents": 20, "cut_documents": 7, "gone_documents": 1},
    {
        "cause": np.array([EXACT, EXACT, NEAR]),
        "copies": np.array([1, 10, 0]),
        "cuts": np.array([4, 2, 1]),
        "tokens": np.array([100, 40, 10]),
        "bytes": np.array([400, 150, 44]),
    },
)
LEVELS, RHO = np.array([0.1, 0.5]), np.array([0.8, 0.2])


@st.composite
def sought(draw) -> Sought:
    text = sorted(draw(st.lists(st.integers(0, 3), min_size=1, max_size=8)))
    hits = draw(st.lists(st.tuples(st.integers(0, len(text) - 1), st.integers(0, 20)), max_size=20))
    target, distance = (np.array([hit[i] for hit in hits], np.int64) for i in (0, 1))
    return Sought([f"t{n}" for n in range(4)], np.arange(4), np.array(text), target, distance, 20, LEVELS, RHO)


@settings(max_examples=25)
@given(sought())
def test_contamination_is_that_of_a_loop(found: Sought) -> None:
    table = tables.contamination_table(found).set_index("text")
    rho = {distance: np.interp(distance / 20, [0, 0.1, 0.5, 1], [1, 0.8, 0.2, 0]) for distance in range(21)}
    for number in range(4):
        windows = [window for window, text in enumerate(found.text) if text == number]
        row = table.loc[f"t{number}"]
        assert row["windows"] == len(windows)
        of_window = [[int(d) for w, d in zip(found.target, found.distance) if w == window] for window in windows]
        if not windows:
            assert pd.isna(row["worth"])
            continue
        exact, worth = [one.count(0) for one in of_window], [sum(map(rho.get, one)) for one in of_window]
        assert row["exact"] == pytest.approx(np.mean(exact))
        assert row["near"] == pytest.approx(np.mean([len(one) - one.count(0) for one in of_window]))
        assert row["covered"] == pytest.approx(np.mean([count > 0 for count in exact]))
        assert (row["worth"], row["max_worth"]) == (pytest.approx(np.mean(worth)), pytest.approx(max(worth)))
        assert row["max_exact"] == max(exact)
        nearest = min((d for one in of_window for d in one), default=None)
        assert (None if pd.isna(row["nearest"]) else row["nearest"]) == nearest


def test_causes_and_copies_in_words() -> None:
    table = tables.removed_table([REMOVED])
    assert table["copies"].tolist() == ["2 to 9", "10 to 99", ""]
    assert table["cause"].tolist() == ["exact duplicate", "exact duplicate", "near a given text"]
    assert table["gone_share"].tolist() == [0.1, 0.04, 0.01]
    assert tables.cause_of(AGAINST | DOCUMENT) == "in the other corpus and document"
    assert results.summary({"removed": table})[1][0] == ["1", "exact duplicate", "2 to 9", "4", "100", "10 %"]
    assert (
        results.draw(table)[0].finding == "Most of the tokens that went as duplicates, 100, stood there 2 to 9 times."
    )


def test_sentences_say_how_much_went_and_what_is_left() -> None:
    left = {"tokens": 850, "groups": 3, "windows": 6, "groups_of_before": 0}
    rounds = {"totals": tables.totals_table([REMOVED, REMOVED]), "removed": tables.removed_table([REMOVED, REMOVED])}
    found = {**rounds, "left": tables.left_table(left)}
    total, causes, again, kept = findings.in_words(found, "one")
    assert total == "15 % of the tokens went (150 of 1,000), from 7 of 20 documents; 1 went whole."
    assert causes == "Tokens that went, by cause: 140 exact duplicate; 10 near a given text."
    assert again.startswith("A second round took 150 tokens more")
    assert "has 3 groups of equal windows; 0 of them" in kept
    assert findings.warnings(found, "one") == []
    wrong = {"left": tables.left_table({**left, "groups_of_before": 2})}
    assert findings.warnings(wrong, "one") == [
        "2 groups of windows that were duplicates before are still in the cleaned corpus."
    ]
    assert findings.warnings(wrong, "all") == []


def test_nothing_went() -> None:
    none = Removed(dict.fromkeys(REMOVED.totals, 0), {name: np.zeros(0, np.int64) for name in REMOVED.sums})
    table = tables.removed_table([none])
    assert findings.in_words({"totals": tables.totals_table([none]), "removed": table}, "one") == [
        "0 % of the tokens went (0 of 0), from 0 of 0 documents; 0 went whole."
    ]
    assert results.draw(table) == []
    assert len(table) == 0


def test_the_first_cut_of_each_cause_and_size_is_shown() -> None:
    cause = np.array([EXACT, NEAR, EXACT, EXACT, EXACT], np.uint8)
    copies = np.array([12, 0, 2, 99, 9], np.uint32)
    assert shown.first_rows(cause, copies).tolist() == [2, 0, 1]
