"""Texts in a report: what is marked, what is escaped, how long they may be."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.reporting import excerpts, page
from lib.reporting.excerpts import AROUND, CHANGED, LACKING, LONGEST, SAME, SHARED, Excerpt, passage
from lib.reporting.page import Report

LETTERS = st.text("ab \n", max_size=15)
SHOWN = Excerpt(
    "A <title>", "Why & what.",
    [
        [passage("the <label>", [("before ", AROUND), ("<b>\n", SAME), ("old", LACKING), ("new", CHANGED)])],
        [passage("left", [("x", SHARED)]), passage("right", [("tab\t\x00\u202e", SAME)])],
    ],
)  # fmt: skip


@settings(max_examples=50)
@given(LETTERS, LETTERS)
def test_the_longest_shared_run_is_marked_in_both(one: str, other: str) -> None:
    segments = excerpts.shared(one, other)
    assert ["".join(text for text, _ in side) for side in segments] == [one, other]
    mine, theirs = ("".join(text for text, mark in side if mark == SHARED) for side in segments)
    runs = (one[start:stop] for start in range(len(one)) for stop in range(start + 3, len(one) + 1))
    assert mine == theirs
    assert len(mine) == max((len(run) for run in runs if run in other), default=0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, LONGEST), st.sampled_from([SAME, CHANGED])), max_size=4))
def test_a_passage_is_its_text_up_to_a_length(parts: list[tuple[int, str]]) -> None:
    segments = [("abc"[number % 3] * length, mark) for number, (length, mark) in enumerate(parts)]
    whole = "".join(text for text, _ in segments)
    shown = "".join(text for text, _ in passage("", segments).segments)
    assert shown == whole[:LONGEST] + (excerpts.CUT if len(whole) > LONGEST else "")


@given(st.text())
def test_what_is_shown_prints(text: str) -> None:
    assert excerpts.visible(text).isprintable()


def test_marks_are_elements_and_texts_are_escaped() -> None:
    html = page.render(Report("r", (), excerpts=[SHOWN]))
    for part in ("A &lt;title&gt;", "Why &amp; what.", "the &lt;label&gt;", "<mark>x</mark>", r"tab⇥\x00\u202e"):
        assert part in html
    assert "<i>before </i>&lt;b&gt;↵<del>old</del><ins>new</ins></blockquote>" in html
    assert [mark for mark, _ in excerpts.legend([SHOWN])] == [CHANGED, LACKING, SHARED, AROUND]
    assert "Like this" not in page.render(Report("r", (), excerpts=[Excerpt("none", "No tokenizer.")]))


def test_excerpts_come_back_from_the_data_of_a_report(tmp_path: Path) -> None:
    page.write(tmp_path / "report.html", Report("r", (), excerpts=[SHOWN]))
    assert page.read(tmp_path / "report.json").excerpts == [SHOWN]


@pytest.mark.parametrize("mark", ["script", "INS"])
def test_a_mark_that_is_none_is_refused(tmp_path: Path, mark: str) -> None:
    page.write(tmp_path / "report.html", Report("r", (), excerpts=[SHOWN]))
    file = tmp_path / "report.json"
    file.write_text(file.read_text().replace('"mark"]', f'"{mark}"]'))
    with pytest.raises(TesseraError, match=f"unknown mark '{mark}'"):
        page.read(file)
