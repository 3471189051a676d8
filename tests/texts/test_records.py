"""Records of texts: the same from every kind of file, in order, and messages that name file, row and column."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.texts import records
from lib.texts.records import Columns, Record

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=30)
COLUMNS = Columns("input", "title", "label", "author")
ROWS = [
    {"input": 'one, "two"\nthree é', "title": "a", "label": 1, "author": "x"},
    {"input": " four ", "title": "b", "label": 0, "author": "y"},
]


def write(folder: Path, rows: list[dict]) -> list[Path]:
    """The rows in every form."""
    table = pd.DataFrame(rows)
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    table.to_csv(folder / "rows.csv", index=False)
    table.to_parquet(folder / "rows.parquet")
    return [folder / f"rows.{kind}" for kind in ("jsonl", "csv", "parquet")]


def said(found: Record) -> tuple[str, ...]:
    return found.text, found.name, found.label, found.group


def test_every_kind_of_file_gives_the_same_records(tmp_path: Path) -> None:
    for file in write(tmp_path, ROWS):
        found = list(records.read(file, COLUMNS))
        assert [said(one) for one in found] == [(ROWS[0]["input"], "a", "1", "x"), (" four ", "b", "0", "y")]
        assert all(str(file) in one.where for one in found)


@settings(max_examples=20)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    file = tmp_path_factory.mktemp("records") / "made.jsonl"
    records.write(file, [Record("", text, name, "", group) for text, name, group in rows])
    found = [(one.text, one.name, one.group) for one in records.read(file, records.MADE)]
    assert found == rows


def test_a_text_file_is_one_record_named_after_it(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes("\ufeffDear A,\n".encode())
    (found,) = records.read(tmp_path / "letter.txt", COLUMNS)
    assert said(found) == ("Dear A,\n", "letter.txt", "", "")


def test_a_folder_gives_all_kinds_in_natural_order(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("part10.csv", "part2.jsonl", "inner/a.txt", "notes.md", "b.csv"):
        (tmp_path / name).write_text("text\n")
    found = records.list_files(tmp_path)
    assert [file.name for file in found.files] == ["b.csv", "a.txt", "part2.jsonl", "part10.csv"]
    assert found.left_out == ((".md", 1),)
    assert [file.name for file in records.list_files(tmp_path, "*.csv").files] == ["b.csv", "part10.csv"]
    assert [file.name for file in records.list_files(tmp_path / "part*.csv").files] == ["part10.csv"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, kind: str) -> None:
    write(tmp_path, ROWS)
    for columns in (Columns("text"), Columns("input", label="seen")):
        with pytest.raises(TesseraError, match=r"rows\.\w+.* '(text|seen)'.*has: .*input"):
            list(records.read(tmp_path / f"rows.{kind}", columns))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,1,2\n", "line 2: not as many values"),
        ("a.csv", b"text\n\xff\n", "not a CSV file in UTF-8"),
        ("a.jsonl", '{"text": null}\n', "line 1: 'text' is null"),
        ("a.parquet", "no parquet", "truncated or damaged"),
        ("a.md", "text", "unknown kind of file; give JSON lines"),
    ],
)
def test_a_bad_file_is_named_with_the_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TesseraError, match=f"{name}.*{message}"):
        list(records.read(tmp_path / name, Columns()))


def test_a_folder_without_texts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="no texts found"):
        records.list_files(tmp_path)
