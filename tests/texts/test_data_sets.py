"""Data sets of local folders, as the hub lays them out."""

import gzip
import json
import os
import socket
from pathlib import Path

import datasets
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


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps({"text": name}), encoding="utf-8")


def read(root: Path, patterns: list[str]) -> list[str]:
    return [row["text"] for row in data_sets.rows(root, "train", data_sets.local(root, "train", patterns))]


FILES = ("data/train-2.jsonl", "data/train-10.jsonl", "train-1.jsonl", "data/test-0.jsonl", ".hidden/train-3.jsonl")


@pytest.mark.parametrize("patterns", [["*.jsonl"], ["data/*", "*.jsonl"], ["**/train*.jsonl", "data/test-?.jsonl"]])
def test_the_files_of_a_local_folder_are_those_that_the_library_takes(tmp_path: Path, patterns: list[str]) -> None:
    put(tmp_path, *FILES)
    assert read(tmp_path, patterns) == [row["text"] for row in data_sets.rows(tmp_path, "train", patterns)]


def test_linked_folders_of_a_data_set_are_read_or_refused_by_name(tmp_path: Path, capsys) -> None:
    """The library passes them over without a word."""
    put(tmp_path / "in", "train-1.jsonl", "README.md", "extra.csv")
    put(tmp_path / "elsewhere", "train-2.jsonl")
    assert read(tmp_path / "in", []) == ["train-1.jsonl"]
    assert "1 file of split 'train'; left out: 1 .md, 1 .csv" in capsys.readouterr().out
    before = data_sets.fingerprint(tmp_path / "in")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    assert data_sets.fingerprint(tmp_path / "in") != before
    with pytest.raises(TesseraError, match="linked: a linked folder, which the library `datasets` does not enter"):
        read(tmp_path / "in", [])
    assert read(tmp_path / "in", ["**/*.jsonl"]) == ["train-2.jsonl", "train-1.jsonl"]
    with pytest.raises(TesseraError, match=r"nothing matches \*\.parquet; check data_files"):
        read(tmp_path / "in", ["*.parquet"])


def test_a_file_that_may_not_be_read_is_named_with_that_word(tmp_path: Path, monkeypatch) -> None:
    """As root reads everything, the refusal is the library's."""

    def refuse(folder: str, **_: object) -> None:
        try:
            raise PermissionError(13, "Permission denied", f"{folder}/train.jsonl")
        except OSError as error:
            raise datasets.exceptions.DatasetGenerationError("An error occurred") from error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(TesseraError, match=r"train\.jsonl: may not be read"):
        list(data_sets.rows(tmp_path, "train"))


def test_a_fingerprint_sees_names_and_bytes_but_no_times(tmp_path: Path) -> None:
    put(tmp_path, *FILES)
    before = data_sets.fingerprint(tmp_path)
    os.utime(tmp_path / "train-1.jsonl", ns=(0, 1))
    assert data_sets.fingerprint(tmp_path) == before
    (tmp_path / "train-1.jsonl").write_text(json.dumps({"text": "Train-1.jsonl"}), encoding="utf-8")
    changed = data_sets.fingerprint(tmp_path)
    (tmp_path / "train-1.jsonl").rename(tmp_path / "train-4.jsonl")
    assert len({before, changed, data_sets.fingerprint(tmp_path)}) == 3


@pytest.mark.parametrize("ending", ["zst", "gz"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_compressed_file_that_is_cut_or_none_is_named(tmp_path, ending, kept):
    lines = "\n".join(json.dumps({"text": f"{n**9}"}) for n in range(2000)).encode()
    whole = zstandard.ZstdCompressor().compress(lines) if ending == "zst" else gzip.compress(lines)
    file = tmp_path / f"train.jsonl.{ending}"
    file.write_bytes(whole[: int(kept * len(whole))] or b"no such format")
    with pytest.raises(TesseraError, match="no data set with a split 'train' that can be read"):
        list(data_sets.rows(tmp_path, "train", [str(file)]))
