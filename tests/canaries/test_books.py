import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.canaries import books


@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet="the quick book\n.éñ日", max_size=80), count=st.integers(1, 30))
def test_first_tokens_is_the_text_that_these_tokens_spell(tokenizer, text, count):
    cut = books.first_tokens(tokenizer, text, count)
    ids = tokenizer.encode(text, add_special_tokens=False)
    spelled = tokenizer.decode(ids[:count], skip_special_tokens=False)
    assert text.startswith(cut)
    if len(ids) <= count:
        assert cut == text
    elif "\ufffd" not in spelled:
        assert cut == spelled
    else:  # the last token ends inside a character, which the cut keeps whole
        assert cut[:-1] == spelled.rstrip("\ufffd")


def test_count_tokens_counts_no_special_token(tokenizer):
    assert books.count_tokens(tokenizer, "a<|endoftext|>") == 2
    assert books.count_tokens(tokenizer, "") == 0


def test_choose_reads_no_more_than_it_needs():
    read = []

    def text_of(index):
        read.append(index)
        return "x" * index

    assert books.choose([3, 0, 5, 1, 9], text_of, lambda text: len(text) > 2, 2) == [3, 5]
    assert read == [3, 0, 5]
    assert books.choose([3, 0, 5], text_of, lambda text: len(text) > 2, 9) == [3, 5]


ROWS = [{"text": f"Book number {n}.", "book_title": f"Title {n}"} for n in range(7)]


@pytest.fixture(params=["parquet", "jsonl"])
def folder(request, tmp_path):
    """A data set as the hub lays it out, in one of two formats."""
    path = tmp_path / "data set"
    (path / "data").mkdir(parents=True)
    if request.param == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path / "data" / "train-00000-of-00001.parquet")
    else:
        (path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


def test_a_data_set_is_read_without_a_network(folder, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    rows = books.load_data_set(folder, "train", ["text", "book_title"], tmp_path / "scratch")
    assert [rows[index] for index in range(len(rows))] == ROWS


def test_a_wrong_column_is_named_with_those_there_are(folder, tmp_path):
    with pytest.raises(TesseraError, match="no column 'body'; it has text, book_title"):
        books.load_data_set(folder, "train", ["body"], tmp_path / "scratch")


def test_a_wrong_split_is_named(folder, tmp_path):
    with pytest.raises(TesseraError, match="no data set with a split 'validation'"):
        books.load_data_set(folder, "validation", ["text"], tmp_path / "scratch")


def test_a_folder_without_data_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TesseraError, match="empty: no data set"):
        books.load_data_set(tmp_path / "empty", "train", ["text"], tmp_path / "scratch")
