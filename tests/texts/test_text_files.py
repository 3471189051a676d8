import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lib.base.errors import TesseraError
from lib.texts import text_files
from lib.texts.text_files import documents

TEXTS = ["one", "", "two\nlines\r\n", "naïve 東京 \U0001f600", "<|endoftext|>", " \t", "x" * 300_000, "last"]
KEEP: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".json": bytes,
    ".jsonl.gz": gzip.compress,
    ".json.gz": gzip.compress,
    ".jsonl.zst": zstandard.compress,
    ".json.zst": zstandard.compress,
}
any_text = st.text(st.characters(codec="utf-8"))


def lines(texts: list[str], ascii_only: bool = False) -> bytes:
    return b"".join(json.dumps({"id": 1, "text": text}, ensure_ascii=ascii_only).encode() + b"\n" for text in texts)


def put(folder: Path, ending: str, data: bytes) -> Path:
    path = folder / f"a{ending}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", KEEP)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_lines_of_every_kind(tmp_path: Path, ending: str, ascii_only: bool) -> None:
    path = put(tmp_path, ending, KEEP[ending](lines(TEXTS, ascii_only)))
    assert list(documents(path)) == TEXTS


def test_every_ending_is_tested() -> None:
    assert set(KEEP) | {".parquet", ".txt"} == set(text_files.READERS)


@given(st.lists(any_text, max_size=8), st.integers(1, 40))
def test_lines_do_not_depend_on_the_blocks_read(texts: list[str], size: int) -> None:
    data = lines(texts)
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    assert [json.loads(line)["text"] for line in text_files._lines(iter(blocks)) if line] == texts


def test_blank_lines_and_a_missing_last_line_break(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".jsonl", b'\n{"text": "a"}\r\n \n{"text": "b"}'))) == ["a", "b"]
    assert list(documents(put(tmp_path, ".jsonl", b""))) == []


def test_archives_of_several_frames_and_members(tmp_path: Path) -> None:
    halves = lines(TEXTS[:4]), lines(TEXTS[4:])
    assert list(documents(put(tmp_path, ".jsonl.zst", b"".join(map(zstandard.compress, halves))))) == TEXTS
    assert list(documents(put(tmp_path, ".jsonl.gz", b"".join(map(gzip.compress, halves))))) == TEXTS


@pytest.mark.parametrize("ending", [".jsonl.zst", ".jsonl.gz"])
def test_an_archive_cut_anywhere_is_an_error(tmp_path: Path, ending: str) -> None:
    whole = KEEP[ending](lines([f"document {number}" for number in range(200)]))
    for length in {*range(0, len(whole), 37), len(whole) - 1}:
        with pytest.raises(TesseraError, match=rf"a{ending}: (truncated or damaged after line \d+|line \d+: not JSON)"):
            list(documents(put(tmp_path, ending, whole[:length])))


@pytest.mark.parametrize("ending", [".jsonl.zst", ".jsonl.gz"])
def test_what_is_no_archive_is_an_error(tmp_path: Path, ending: str) -> None:
    with pytest.raises(TesseraError, match="truncated or damaged after line 0"):
        list(documents(put(tmp_path, ending, lines(["plain"]))))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "cut', "line 3: not JSON"),
        (b'{"body": "a", "id": 3}', r"line 3: no 'text' \(has: body, id\); set text_key"),
        (b'["text"]', r"line 3: no 'text' \(has: a list\)"),
        (b'{"text": null}', "line 3: 'text' is a NoneType; it must be a string"),
        (b'{"text": ["a"]}', "line 3: 'text' is a list"),
        (b'{"text": "\xff"}', "line 3: not UTF-8"),
        (b'{"text": "\xed\xa0\x80"}', "line 3: not UTF-8"),
        (b'{"text": "\\ud800"}', "line 3: 'text' is not valid Unicode"),
        (b'{"text": ' + b"[" * 100_000, "line 3: not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(TesseraError, match=rf"a\.jsonl: {message}"):
        list(documents(put(tmp_path, ".jsonl", lines(["a", "b"]) + line + b"\n" + lines(["c"]))))


def test_another_key(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".jsonl", b'{"text": 1, "body": "x"}'), "body")) == ["x"]


def write_table(path: Path, column: pyarrow.Array, name: str = "text") -> Path:
    parquet.write_table(pyarrow.table({name: column, "n": list(range(len(column)))}), path, row_group_size=3)
    return path


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), "string")]
)
def test_parquet(tmp_path: Path, kind: pyarrow.DataType) -> None:
    column = pyarrow.array(TEXTS).cast(kind)
    assert list(documents(write_table(tmp_path / "a.parquet", column))) == TEXTS


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.parquet", pyarrow.array(["a", "b", "c", "d", None]))
    with pytest.raises(TesseraError, match=r"a\.parquet: row 4: 'text' is a NoneType"):
        list(documents(path))
    with pytest.raises(TesseraError, match=r"no column 'body' \(has: text, n\); set text_key"):
        list(documents(path, "body"))
    with pytest.raises(TesseraError, match="row 0: 'text' is a int"):
        list(documents(write_table(tmp_path / "b.parquet", pyarrow.array([1, 2]))))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TesseraError, match=r"a\.parquet: truncated or damaged"):
        list(documents(path))


def test_plain_text_is_one_document(tmp_path: Path) -> None:
    assert list(documents(put(tmp_path, ".txt", "a\r\nb é".encode()))) == ["a\r\nb é"]
    with pytest.raises(TesseraError, match=r"a\.txt: not UTF-8"):
        list(documents(put(tmp_path, ".txt", b"\xff")))


def test_a_missing_file_and_an_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"gone\.jsonl: no such file"):
        list(documents(tmp_path / "gone.jsonl"))
    with pytest.raises(TesseraError, match=r"a\.csv: unknown kind of file; use one of \.json, "):
        list(documents(tmp_path / "a.csv"))


def test_natural_order() -> None:
    names = ["train/chunk10/a_2.zst", "train/chunk2/a_10.zst", "train/chunk2/a_9.zst", "a", "10", "9"]
    assert sorted(names, key=text_files.natural) == [
        "9", "10", "a", "train/chunk2/a_9.zst", "train/chunk2/a_10.zst", "train/chunk10/a_2.zst"
    ]  # fmt: skip
