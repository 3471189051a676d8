"""Bad documents: each kind is named with file and row, or counted and empty when they are to be skipped."""

import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from lib.base.errors import TesseraError
from lib.texts import bad_documents, text_files
from lib.texts.bad_documents import Bad, Skipped
from lib.texts.text_files import documents

LINES = [
    (b'{"text": null}', "null", "'text' is null; it must be a string"),
    (b'{"text": 3}', "not text", "'text' is a number"),
    (b'{"text": true}', "not text", "'text' is true or false"),
    (b'{"text": ["a"]}', "not text", "'text' is an array"),
    (b'{"text": {"a": 1}}', "not text", "'text' is an object"),
    (b'{"body": "a", "id": 3}', "no key", r"no 'text' \(has: body, id\); set text_key"),
    (b"{}", "no key", r"no 'text' \(has: nothing\)"),
    (b'["text"]', "not an object", r"the line is an array, not an object such as \{\"text\": ...\}"),
    (b"3", "not an object", "the line is a number"),
    (b"null", "not an object", "the line is null"),
    (b'[{"text": "a"},', "not JSON", "a JSON array over several lines begins here, or is cut off"),
    (b'{"text": "cut', "not JSON", "not JSON: it ends too early .*; the file may be truncated"),
    (b'{"text": "a"', "not JSON", "not JSON: it ends too early"),
    (b"{'text': 'a'}", "not JSON", r"not JSON \(Expecting property name"),
    (b'{"n": ' + b"9" * 5000 + b', "text": "a"}', "number too large", "not read: a number in it is too large"),
    (b'{"text": "\xff"}', "not UTF-8", "not UTF-8"),
    (b'{"text": "\xed\xa0\x80"}', "not UTF-8", "not UTF-8"),
    ('{"text": "é"}'.encode("utf-16"), "not UTF-8", "not UTF-8"),
    (b'{"text": "\\ud800"}', "not Unicode", "'text' is not valid Unicode"),
    (b'{"text": ' + b"[" * 100_000, "nested too deep", "not read: brackets are nested too deep"),
    (b'{"text": "' + b"x" * 7000 + b'"}', "too long", "a document of more than 6,000 bytes"),
]


@pytest.fixture(autouse=True)
def _short_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LONGEST", 6000)


@pytest.mark.parametrize(("line", "reason", "message"), [line for line in LINES if b"[[" not in line[0]])
def test_a_bad_line_is_named_or_counted(tmp_path: Path, line: bytes, reason: str, message: str) -> None:
    check_named_or_counted(tmp_path, line, reason, message)


def test_a_line_nested_too_deep_is_named_or_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LONGEST", 1 << 20)
    check_named_or_counted(tmp_path, *next(line for line in LINES if line[1] == "nested too deep"))


def check_named_or_counted(folder: Path, line: bytes, reason: str, message: str) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n' + line.replace(b"\n", b" ") + b'\n{"text": "b"}\n')
    with pytest.raises(TesseraError, match=rf"a\.jsonl: line 3: {message}.*; repair it, or set on_bad_document: skip"):
        list(documents(path))
    skipped = Skipped(10)
    assert list(documents(path, skipped=skipped)) == ["a", "", "b"]
    assert dict(skipped.reasons) == {reason: 1}
    assert skipped.first[0].startswith(f"{path}: line 3: ")


@pytest.mark.parametrize(
    ("column", "reason", "message"),
    [
        (pyarrow.array(["a", None]), "null", "'text' is null"),
        (pyarrow.array(["a", "x" * 6001]), "too long", "a document of more than 6,000 bytes"),
        (pyarrow.Array.from_buffers(pyarrow.string(), 2, pyarrow.array([b"a", b"\xff"]).buffers()), "not UTF-8", "not"),
    ],
)
def test_a_bad_row_is_named_or_counted(tmp_path: Path, column: pyarrow.Array, reason: str, message: str) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": column}), path)
    with pytest.raises(TesseraError, match=rf"a\.parquet: row 1: {message}"):
        list(documents(path))
    skipped = Skipped(1)
    assert list(documents(path, skipped=skipped)) == ["a", ""]
    assert dict(skipped.reasons) == {reason: 1}


@pytest.mark.parametrize(("data", "reason"), [(b"\xff", "not UTF-8"), (b"x" * 6001, "too long")])
def test_a_bad_text_is_named_or_counted(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(TesseraError, match=r"a\.txt: (not UTF-8|a document of more than)"):
        list(documents(path))
    skipped = Skipped(1)
    assert list(documents(path, skipped=skipped)) == [""]
    assert dict(skipped.reasons) == {reason: 1}


items = st.lists(
    st.one_of(st.text(max_size=3), st.builds(Bad, st.just("a: line 1"), st.sampled_from("xyz"), st.just("no")))
)


@given(st.lists(items, max_size=4), st.one_of(st.integers(0, 6), st.floats(0, 0.99)))
def test_what_is_skipped_is_bounded_and_counted_whatever_the_files(
    given: list[list[str | Bad]], most: int | float
) -> None:
    """Files read one by one and their counts added say the same as one count over all."""
    everything = [item for file in given for item in file]
    bad = [item for item in everything if isinstance(item, Bad)]
    beyond = len(bad) > (most if isinstance(most, int) else most * len(everything))
    total = Skipped(most)

    def read() -> list[str]:
        texts = []
        for file in given:
            mine = Skipped(most)
            texts += bad_documents.texts(file, mine)
            total.add(bad_documents.loaded(most, mine.dumped()))
        total.check()
        return texts

    if beyond:
        with pytest.raises(
            TesseraError, match=r"documents? (is|are) bad .*first: a: line 1: no.*more than max_bad_documents"
        ):
            read()
        return
    assert read() == ["" if isinstance(item, Bad) else item for item in everything]
    stored = total.attributes()
    assert stored["bad_documents"] == len(bad) == sum(json.loads(stored["bad_documents_by_reason"]).values())
    assert json.loads(stored["bad_documents_first"]) == list(map(str, bad[:5]))


@pytest.mark.parametrize("most", [-1, -0.1, 1.0, 20.5, float("nan")])
def test_a_bound_is_a_count_or_a_share(most: int | float) -> None:
    with pytest.raises(ValueError, match="it must be a count"):
        bad_documents.check_bound(most)


def test_a_damaged_archive_is_no_bad_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n' * 99)[:-9])
    with pytest.raises(TesseraError, match=r"a\.jsonl\.gz: truncated or damaged"):
        list(documents(path, skipped=Skipped(100)))
