"""canaries.h5 as another stage reads it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.canaries import canaries_file


def test_what_is_excluded_is_read_if_it_is_given_and_must_fit_the_tokenizer(tmp_path: Path) -> None:
    file = tmp_path / "canaries.h5"
    with hdf5.create(file) as opened:
        hdf5.write(opened, "tokens", np.array([[1, 2], [3, 4]], dtype="<u4"))
    assert list(canaries_file.read_excluded(None, 5)) == []
    assert np.asarray(canaries_file.read_excluded(file, 5)).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(TesseraError, match="id 4 is outside the 4 ids"):
        canaries_file.read_excluded(file, 4)


TOKENS = np.array([[1, 2], [3, 4]], dtype="<u4")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", "b"]}, "'text' holds strings"),
        ({"text": np.array([b"a", b"b"])}, "'text' must be UTF-8 bytes"),
        ({"text_offsets": [0, 1, 2]}, "no dataset 'text'"),
        ({"text": np.zeros(2), "text_offsets": [0, 1, 2]}, "'text' must be UTF-8 bytes"),
        ({"text": np.array([255, 1], "u1"), "text_offsets": [0, 1, 2]}, "'text', row 0: not UTF-8"),
        ({"text": np.array([97], "u1"), "text_offsets": [0, 1]}, "1 rows of 'text' for 2 of 'tokens'"),
        ({"text": np.array([97], "u1"), "text_offsets": [0.0, 1.0]}, "'text' must be UTF-8 bytes"),
        ({"tokens": ["a", "b"]}, "'tokens' holds strings"),
        ({"tokens": [[0.5], [1.5]]}, "'tokens' must be a matrix of integers"),
    ],
)
def test_a_file_made_by_hand_with_other_types_is_named_with_the_dataset(tmp_path: Path, columns, message) -> None:
    file = tmp_path / "canaries.h5"
    with h5py.File(file, "w") as opened:
        for name, values in {"tokens": TOKENS, **columns}.items():
            opened[name] = values
    with pytest.raises(TesseraError, match=f"canaries.h5: {message}"):
        canaries_file.read_texts(file)
