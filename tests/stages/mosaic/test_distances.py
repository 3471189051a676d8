"""The stage `distances`, by hand: duplicates of known distance."""

from pathlib import Path

import numpy as np
import pytest

from jobs.mosaic import distances, duplicates
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading
from lib.perturbations.distances import MEASURES
from lib.tokens.tokenization import encode

TEXTS = (
    "the quick brown fox jumps over a lazy dog while many models remember",
    "others forget what they have read once in a book about rivers and old machines",
)


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    with hdf5.create(folder / "canaries.h5") as file:
        hdf5.write(file, "tokens", np.array([encode(tokenizer, text)[:12] for text in TEXTS], dtype="<u4"))
    found = {"canaries": folder / "canaries.h5", "target_tokenizer": tiny_tokenizer}
    duplicates.run(duplicates.Config(kind="insert", ngram=4, inserted_tokens=2, variations=3), found, folder)
    return {**found, "duplicates": folder / "duplicates.h5"}


def test_every_variation_is_measured_as_its_text_is_trained(inputs, tmp_path):
    distances.run(distances.Config(), inputs, tmp_path)
    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    canaries = hdf5.read(inputs["canaries"], "tokens").tolist()
    owners = hdf5.read(tmp_path / "distances.h5", "canary")
    trained = [encode(tokenizer, text) for text in hdf5.read_texts(inputs["duplicates"], "text")]
    assert owners.tolist() == [0, 0, 0, 1, 1, 1]
    for name, measure in MEASURES.items():
        expected = [measure(canaries[owner], ids) for owner, ids in zip(owners, trained)]
        np.testing.assert_array_equal(hdf5.read(tmp_path / "distances.h5", name), expected)
    recorded = hdf5.read(inputs["duplicates"], "trained_edit_distance")
    np.testing.assert_array_equal(hdf5.read(tmp_path / "distances.h5", "levenshtein"), recorded)


def test_duplicates_of_other_canaries_are_refused(inputs, tmp_path):
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", hdf5.read(inputs["canaries"], "tokens")[::-1])
    with pytest.raises(TesseraError, match=r"duplicates\.h5: row 0 is not a variation of canary 0"):
        distances.run(distances.Config(), {**inputs, "canaries": tmp_path / "canaries.h5"}, tmp_path)
