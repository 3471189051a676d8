"""Chapters of a translation in the form in which pythonbible's packages hold it."""

from pathlib import Path

import pytest

from jobs.texts import chapters as chapters_stage
from lib.base.errors import TesseraError
from lib.texts import chapters, records

TEXT = "In the [very] beginning.  And so on. Another chapter.\nThe last book."
FORM = '''# made by a program
from pythonbible.bible.bible import Bible
from pythonbible.books import Book

bible = Bible(
    Version.NONE,
    """{text}""",
    {starts},
    {ends},
    {{Book.MATTHEW: {{1: 2, 2: 1}}, Book.JUDE: {{1: 1}}}},
    {{Book.MATTHEW: "Matthew", Book.JUDE: "Jude"}},
    {{Book.MATTHEW: "The Gospel", Book.JUDE: "The Epistle"}},
    False,
)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    starts = {40001001: 0, 40001002: 26, 40002001: 37, 65001001: 54}
    ends = {40001001: 24, 40001002: 36, 40002001: 53, 65001001: len(TEXT)}
    file = tmp_path / chapters.FILE
    file.write_text(FORM.format(text=TEXT, starts=starts, ends=ends))
    installed = tmp_path / "bible_x-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: bible-x\nVersion: 1.0\n")
    (installed / "RECORD").write_text(f"{file.name},,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "bible-x==1.0"


def test_a_chapter_is_the_text_from_its_first_verse_to_its_last(package: str) -> None:
    found = chapters.chapters(package)
    assert found == {
        "Matthew 1": "In the very beginning.  And so on.",
        "Matthew 2": "Another chapter.",
        "Jude 1": "The last book.",
    }
    assert list(chapters.chosen(package, ["Jude 1", "Matthew 2"])) == ["Jude 1", "Matthew 2"]


def test_verses_are_numbered_and_have_single_blanks(package: str) -> None:
    assert chapters.verses(package) == {
        40001001: "In the very beginning.",
        40001002: "And so on.",
        40002001: "Another chapter.",
        65001001: "The last book.",
    }


def test_what_is_not_there_is_named(package: str) -> None:
    with pytest.raises(TesseraError, match="no chapter 'Mathew 2'; did you mean 'Matthew 2'"):
        chapters.chosen(package, ["Mathew 2"])
    with pytest.raises(TesseraError, match="not installed"):
        chapters.chapters("bible-y")
    with pytest.raises(TesseraError, match=r"numpy: no plain_text_readers_bible\.py"):
        chapters.chapters("numpy")


def test_the_stage_writes_a_record_a_chapter(package: str, tmp_path: Path) -> None:
    chapters_stage.run(chapters_stage.Config(package, ("Jude 1", "Matthew 1")), {}, tmp_path)
    found = [(one.name, one.text) for one in records.read(tmp_path / "chapters.jsonl", records.MADE)]
    assert found == [("Jude 1", "The last book."), ("Matthew 1", "In the very beginning.  And so on.")]
