"""Documents of text.h5: written with their names, read in a random order."""

from pathlib import Path

import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.texts.documents import Document, leading, millions, read_shuffled, write_documents


def write(path: Path, texts: list[str]) -> Path:
    with hdf5.create(path) as file:
        write_documents(file, "train", [Document(f"name {index}", text) for index, text in enumerate(texts)])
    return path


def test_all_documents_come_back_in_an_order_of_the_seed(tmp_path: Path) -> None:
    texts = [f"Document {n}" for n in range(40)]
    path = write(tmp_path / "text.h5", texts)
    assert hdf5.read_texts(path, "train_names")[3] == "name 3"
    assert sorted(read_shuffled(path, 0)) == sorted(texts)
    assert read_shuffled(path, 0) == read_shuffled(path, 0) != read_shuffled(path, 1)


def test_a_file_without_text_is_named(tmp_path: Path) -> None:
    for texts in ([], ["", ""]):
        with pytest.raises(TesseraError, match=r"text\.h5: no text in `train`; name more packages"):
            read_shuffled(write(tmp_path / "text.h5", texts), 0)


def test_leading_texts_and_their_size() -> None:
    assert leading(["aaa", "bbb", "ccc"], 4) == ["aaa", "bbb"]
    assert leading(["aaa"], 100) == ["aaa"]
    assert millions([Document("a", "x" * 12_345), Document("b", "y" * 700_000)]) == "0.71"
