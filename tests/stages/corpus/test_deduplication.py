"""The stage `deduplication`: rows aligned with the near-duplicates, wrong inputs."""

from pathlib import Path

import numpy as np
import pytest

from jobs.corpus import deduplication
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from tests.support.corpora import write_chunk

TARGETS = np.arange(20).reshape(2, 10)
TEXTS = [
    [[*range(10), 90, 91], [*range(1, 10), 50]],  # target 0 exactly; shifted by one
    [[70, *range(10, 15), 99, *range(16, 20)], [], [0, 1, 2, 99, 99, 5, 6, 7, 8, 9]],
]
ROWS = {
    "hamming": ([0, 0, 1], [0, 1, 1], [0, 11, 1], [0, 2, 1]),
    "levenshtein": ([0, 0, 0, 1], [0, 0, 1, 1], [0, 12, 11, 1], [0, 2, 2, 1]),
}
WANTED = {"hamming": [10, 5, 5], "levenshtein": [10, 9, 5, 5]}


@pytest.fixture
def inputs(tmp_path: Path) -> dict:
    with hdf5.create(tmp_path / "targets.h5") as file:
        hdf5.write(file, "tokens", TARGETS.astype("<u2"))
    write_rows(tmp_path / "near_duplicates.h5", ROWS)
    return {
        "corpus": [write_chunk(tmp_path / places.chunk(i), texts) for i, texts in enumerate(TEXTS)],
        "targets": tmp_path / "targets.h5",
        "near_duplicates": tmp_path / "near_duplicates.h5",
    }


def write_rows(path: Path, rows: dict) -> None:
    with hdf5.create(path) as file:
        for metric, columns in rows.items():
            group = file.create_group(metric)
            for name, values, dtype in zip(deduplication.COLUMNS, columns, ("<u4", "<u4", "<u8", "<u2")):
                hdf5.write(group, name, np.array(values, dtype=dtype))


def make(inputs: dict, out: Path, **settings) -> Path:
    blocks.claim(out / places.BLOCKS, "test")
    deduplication.run(deduplication.Config(**settings), inputs, out)
    return out / "deduplication.h5"


def read(path: Path) -> dict[str, list[int]]:
    return {metric: hdf5.read(path, f"{metric}/longest_common").tolist() for metric in WANTED}


def test_every_row_has_its_longest_common_ngram_at_any_block_size(inputs, tmp_path) -> None:
    whole = make(inputs, tmp_path / "a")
    assert read(whole) == WANTED
    assert make(inputs, tmp_path / "b", block_rows=1).read_bytes() == whole.read_bytes()


def test_no_near_duplicates_give_empty_columns(inputs, tmp_path) -> None:
    write_rows(inputs["near_duplicates"], dict.fromkeys(ROWS, ([], [], [], [])))
    assert read(make(inputs, tmp_path / "a")) == {"hamming": [], "levenshtein": []}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [(0, 2, "row 1: target 2"), (1, 2, "row 1: .*chunk 2"), (2, 20, "row 1: .*position 20"), (3, 0, "further than 0")],
)
def test_rows_of_another_corpus_are_refused(inputs, tmp_path, column, value, message) -> None:
    wrong = {metric: [list(values) for values in columns] for metric, columns in ROWS.items()}
    wrong["hamming"][column][1] = value
    write_rows(inputs["near_duplicates"], wrong)
    with pytest.raises(TesseraError, match=message):
        make(inputs, tmp_path / "a")
