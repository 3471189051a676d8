"""canaries.h5 as another stage reads it."""

from pathlib import Path

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
