"""Known data sets are read without naming columns; what is named, or called text, wins."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lib.base.errors import TesseraError
from lib.texts import layouts
from lib.texts.records import Columns

WIKIMIA = [{"input": "a town", "label": 1}, {"input": "a storm", "label": 0}]
BOOKMIA = [
    {"book_id": 1, "book": "Jane Eyre.txt", "snippet_id": 0, "snippet": "I was", "label": 1},
    {"book_id": 2, "book": "new.txt", "snippet_id": 0, "snippet": "He is", "label": 0},
]
NEIGHBORS = {"member_neighbors": ["x"], "nonmember_neighbors": ["y"]}
MIMIR = [
    {"member": "seen 1", "nonmember": "new 1", **NEIGHBORS},
    {"member": "seen 2", "nonmember": "new 2", **NEIGHBORS},
]
EXPECTED = {
    "WikiMIA": (WIKIMIA, [("a town", "1", ""), ("a storm", "0", "")]),
    "BookMIA": (BOOKMIA, [("I was", "1", "Jane Eyre.txt"), ("He is", "0", "new.txt")]),
    "MIMIR": (
        MIMIR,
        [("seen 1", "member", ""), ("new 1", "non-member", ""), ("seen 2", "member", ""), ("new 2", "non-member", "")],
    ),
}


def said(found) -> list[tuple[str, str, str]]:
    return [(record.text, record.label, record.group) for _, record in found]


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_layout_is_recognised_by_its_columns_in_every_kind_of_file(tmp_path: Path, name: str, kind: str) -> None:
    rows, expected = EXPECTED[name]
    file, table = tmp_path / f"rows.{kind}", pd.DataFrame(rows)
    if kind == "jsonl":
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        (table.to_csv if kind == "csv" else table.to_parquet)(file, index=False)
    found = list(layouts.read(file, Columns()))
    assert said(found) == expected
    assert {layout for layout, _ in found} == {name}
    assert said(one for row in rows for one in layouts.of_fields("a row", row, Columns())) == expected


def test_what_is_named_by_hand_and_a_column_called_text_win() -> None:
    row = {**WIKIMIA[0], "text": "mine", "other": "chosen"}
    assert said(layouts.of_fields("", row, Columns())) == [("mine", "", "")]
    assert said(layouts.of_fields("", row, Columns(text="other", label="label"))) == [("chosen", "1", "")]
    with pytest.raises(TesseraError, match="no column 'text'"):
        list(layouts.of_fields("a row", {"input": "a", "mark": 1}, Columns()))


def test_strings_in_folders_of_members_and_non_members(tmp_path: Path) -> None:
    for folder, texts in {"train": ["one\nline", "two"], "test": ["three"], "else": ["four"]}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pile.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in texts))
    (layout, first), second = layouts.read(tmp_path / "train" / "pile.jsonl", Columns())
    assert (layout, first.text, first.label, first.name) == (
        layouts.STRINGS,
        "one\nline",
        "member",
        "train/pile.jsonl 1",
    )
    assert second[1].text == "two"
    assert said(layouts.read(tmp_path / "test" / "pile.jsonl", Columns())) == [("three", "non-member", "")]
    with pytest.raises(TesseraError, match="not an object"):
        list(layouts.read(tmp_path / "else" / "pile.jsonl", Columns()))
    whole = (tmp_path / "train" / "pile.jsonl").read_text()
    for more, message in {
        '{"text": "five"}': "line 3: not a string",
        "five": "line 2: what follows is no JSON",
    }.items():
        (tmp_path / "train" / "pile.jsonl").write_text(f"{whole}{more}\n")
        with pytest.raises(TesseraError, match=message):
            list(layouts.read(tmp_path / "train" / "pile.jsonl", Columns()))


@pytest.mark.parametrize("name", ["a.jsonl", "train/a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz"])
def test_damage_is_said_by_the_reader_of_the_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"\xff\xfe{")
    with pytest.raises(TesseraError, match=r"a\.(jsonl|csv|parquet)"):
        list(layouts.read(file, Columns()))
