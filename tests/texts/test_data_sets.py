"""Data sets of local folders, as the hub lays them out."""

import gzip
import json
import socket

import pytest
import zstandard

from lib.base.errors import TesseraError
from lib.texts import data_sets

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
    rows = data_sets.load(folder, "train", ["text", "book_title"], tmp_path / "scratch")
    assert [rows[index] for index in range(len(rows))] == ROWS


def test_a_wrong_column_is_named_with_those_there_are(folder, tmp_path):
    with pytest.raises(TesseraError, match="no column 'body'; it has text, book_title"):
        data_sets.load(folder, "train", ["body"], tmp_path / "scratch")


def test_a_wrong_split_is_named(folder, tmp_path):
    with pytest.raises(TesseraError, match="no data set with a split 'validation'"):
        data_sets.load(folder, "validation", ["text"], tmp_path / "scratch")


def test_a_folder_without_data_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TesseraError, match="empty: no data set"):
        data_sets.load(tmp_path / "empty", "train", ["text"], tmp_path / "scratch")


@pytest.mark.parametrize("ending", ["zst", "gz"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_compressed_file_that_is_cut_or_none_is_named(tmp_path, ending, kept):
    lines = "\n".join(json.dumps({"text": f"{n**9}"}) for n in range(2000)).encode()
    whole = zstandard.ZstdCompressor().compress(lines) if ending == "zst" else gzip.compress(lines)
    file = tmp_path / f"train.jsonl.{ending}"
    file.write_bytes(whole[: int(kept * len(whole))] or b"no such format")
    with pytest.raises(TesseraError, match="no data set with a split 'train' that can be read"):
        list(data_sets.rows(tmp_path, "train", [str(file)]))
