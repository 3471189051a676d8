"""Files written again with parts cut out: every other byte stays, in every format and compression."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import pyarrow as arrow
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lib.base.errors import TesseraError
from lib.texts import rewriting, text_files
from lib.texts.rewriting import Edited, Edits

PACKED = {
    "": (bytes, bytes),
    ".gz": (gzip.compress, gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
    ".zst": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
}
LINES = [
    b'\xef\xbb\xbf{"id": 1, "text": "one two"}',
    b"",
    b'{"text":"caf\\u00e9 \\"x\\"","meta":{"text": "not this", "n": [1.50, 1e5]}}\r',
    b'  { "a" : null , "text" : "\xe6\x9d\xb1\xe4\xba\xac" }  ',
    b'{"text": "twice", "text": "counts"}',
    b'{"text": null}',
    b'{"text": "stays \\ud83e\\udd8a"}',
]


def head(number: int, text: str, earlier: object) -> Edited:
    """Cuts the first character; of document 3 everything."""
    return Edited(None if number == 3 else text[1:], [[0, len(text[:1].encode())]])


def rewritten(folder: Path, name: str, data: bytes, edits: Edits) -> bytes:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_bytes(data)
    rewriting.rewrite(folder / "in" / name, folder / name, edits)
    return (folder / name).read_bytes()


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_of_a_line_only_the_text_changes_and_one_field_comes(tmp_path: Path, packed: str, end: bytes) -> None:
    pack, unpack = PACKED[packed]
    data = b"\n".join(LINES) + end
    found = unpack(rewritten(tmp_path, f"a.jsonl{packed}", pack(data), Edits({0, 1, 2, 3}, head)))
    assert (
        found
        == b"\n".join(
            [
                b'\xef\xbb\xbf{"id": 1, "text": "ne two", "cut": [[0, 1]]}',
                b"",
                b'{"text":"af\\u00e9 \\"x\\"","meta":{"text": "not this", "n": [1.50, 1e5]}, "cut": [[0, 1]]}\r',
                b'  { "a" : null , "text" : "\xe4\xba\xac" , "cut": [[0, 3]]}  ',
                LINES[5],
                LINES[6],
            ]
        )
        + end
    )
    assert rewriting.count(tmp_path / "in" / f"a.jsonl{packed}") == 6
    again = rewritten(tmp_path, f"a.jsonl{packed}", pack(data), Edits({0, 1, 2, 3}, head))
    assert unpack(again) == found
    assert again == (tmp_path / f"a.jsonl{packed}").read_bytes()


@pytest.mark.parametrize("packed", PACKED)
def test_a_file_without_cuts_is_copied(tmp_path: Path, packed: str) -> None:
    data = PACKED[packed][0](b"\n".join(LINES))
    assert rewritten(tmp_path, f"a.jsonl{packed}", data, Edits((), head)) == data


@pytest.mark.parametrize("packed", PACKED)
def test_a_text_file_is_what_is_left_of_it(tmp_path: Path, packed: str) -> None:
    pack, unpack = PACKED[packed]
    data = "\ufeffone\r\ntwo".encode()
    assert unpack(rewritten(tmp_path, f"a.txt{packed}", pack(data), Edits({0}, head))) == "\ufeffne\r\ntwo".encode()
    gone = Edits({0}, lambda number, text, earlier: Edited(None, [[0, 8]]))
    assert unpack(rewritten(tmp_path, f"a.txt{packed}", pack(data), gone)) == b""


def test_the_last_line_may_go(tmp_path: Path) -> None:
    data = b'{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n{"text": "d"}'
    assert rewritten(tmp_path, "a.ndjson", data, Edits({3}, head)) == data[: data.rindex(b"{")]


members = st.dictionaries(
    st.text(max_size=4).filter(lambda key: key not in ("text", "cut")),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)


@given(members, members, st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.booleans())
def test_any_record_keeps_its_other_fields(
    tmp_path_factory: pytest.TempPathFactory, before: dict, after: dict, text: str, ascii_only: bool
) -> None:
    record = {**before, "text": text, **after}
    folder = tmp_path_factory.mktemp("records")
    line = json.dumps(record, ensure_ascii=ascii_only).encode()
    found = rewritten(folder, "a.jsonl", line, Edits({0}, head))
    assert json.loads(found) == {**record, "text": text[1:], "cut": [[0, len(text[:1].encode())]]}
    assert list(text_files.documents(folder / "a.jsonl")) == [text[1:]]


@pytest.mark.parametrize(
    "kind", [arrow.string(), arrow.large_string(), arrow.dictionary(arrow.int32(), arrow.string())]
)
def test_parquet_keeps_its_columns_row_groups_and_codec(tmp_path: Path, kind: arrow.DataType) -> None:
    texts = [f"text {number}" for number in range(7)]
    texts[4] = None
    columns = {"id": arrow.array(range(7)), "text": arrow.array(texts, arrow.string()).cast(kind), "z": [[1]] * 7}
    table = arrow.table(columns).replace_schema_metadata({"who": "me"})
    (tmp_path / "in").mkdir()
    parquet.write_table(table, tmp_path / "in/a.parquet", row_group_size=3, compression="ZSTD")
    assert rewriting.count(tmp_path / "in/a.parquet") == 7
    rewriting.rewrite(tmp_path / "in/a.parquet", tmp_path / "a.parquet", Edits({1, 3, 6}, head))
    with parquet.ParquetFile(tmp_path / "a.parquet") as file:
        found, metadata = file.read(), file.metadata
    assert found["id"].to_pylist() == [0, 1, 2, 4, 5, 6]
    assert found["text"].to_pylist() == ["text 0", "ext 1", "text 2", None, "text 5", "ext 6"]
    assert found["cut"].to_pylist() == [None, [[0, 1]], None, None, None, [[0, 1]]]
    assert found["z"].to_pylist() == [[1]] * 6
    assert found.schema.metadata[b"who"] == b"me"
    assert metadata.num_row_groups == 3
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_csv_keeps_its_columns_and_the_rows_that_are_not_cut(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfid,text,z\r\n0,"one, two",\r\n1,"a\nb",x\r\n2\r\n3,gone,\r\n4,stays,\r\n'
    found = rewritten(tmp_path, "a.csv", data, Edits({0, 1, 3}, head))
    assert rewriting.count(tmp_path / "in/a.csv") == 5
    rows = list(csv.reader(io.StringIO(found.decode(), newline="")))
    assert rows == [
        ["id", "text", "z", "cut"], ["0", "ne, two", "", "[[0, 1]]"], ["1", "\nb", "x", "[[0, 1]]"], ["2"],
        ["4", "stays", "", ""],
    ]  # fmt: skip
    again = rewritten(
        tmp_path, "a.csv", found, Edits({1}, lambda number, text, earlier: Edited("b", [*earlier, [1, 2]]), again=True)
    )
    assert b'1,b,x,"[[0, 1], [1, 2]]"\n' in again
    with pytest.raises(TesseraError, match=r"a.csv: there is a column 'cut' already"):
        rewritten(tmp_path, "a.csv", found, Edits({1}, head))


def test_a_field_of_that_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"a.jsonl: line 2: there is a field 'cut' already; set cut_key"):
        rewritten(tmp_path, "a.jsonl", b'\n{"text": "x", "cut": 1}', Edits({0}, head))
    parquet.write_table(arrow.table({"text": ["x"], "cut": [1]}), tmp_path / "b.parquet")
    with pytest.raises(TesseraError, match=r"b.parquet: there is a column 'cut' already"):
        rewriting.rewrite(tmp_path / "b.parquet", tmp_path / "c.parquet", Edits({0}, head))


def test_a_file_that_was_cut_before_has_one_field_for_both(tmp_path: Path) -> None:
    seen = []

    def one_more(number: int, text: str, earlier: Sequence) -> Edited:
        seen.append((number, text, list(earlier)))
        return Edited(text[1:], [[0, 1 + len(earlier)]])

    data = b'{"text": "ne two", "cut": [[0, 1]], "id": 1}\n{"cut":[[2,3]], "text":"xy"}\n{"text": "new"}\n'
    assert rewritten(tmp_path, "a.jsonl", data, Edits({0, 2}, one_more, again=True)) == (
        b'{"text": "e two", "cut": [[0, 2]], "id": 1}\n{"cut":[[2,3]], "text":"xy"}\n{"text": "ew", "cut": [[0, 1]]}\n'
    )
    assert seen == [(0, "ne two", [[0, 1]]), (2, "new", [])]
    cut = arrow.array([[[0, 1]], [[2, 3]], None], arrow.list_(arrow.list_(arrow.uint64())))
    parquet.write_table(arrow.table({"text": ["ne two", "xy", "new"], "cut": cut}), tmp_path / "b.parquet")
    rewriting.rewrite(tmp_path / "b.parquet", tmp_path / "c.parquet", Edits({0, 2}, one_more, again=True))
    assert parquet.read_table(tmp_path / "c.parquet").to_pylist() == [
        {"text": "e two", "cut": [[0, 2]]},
        {"text": "xy", "cut": [[2, 3]]},
        {"text": "ew", "cut": [[0, 1]]},
    ]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"a.jsonl.gz: truncated or damaged"):
        rewritten(tmp_path, "a.jsonl.gz", gzip.compress(b"x" * 99)[:-9], Edits({0}, head))
    with pytest.raises(TesseraError, match="no such file"):
        rewriting.count(tmp_path / "none.jsonl")
