"""The stage `planted_text`: what the text holds of every passage is what it says."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from jobs.texts import planted_text
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading
from lib.texts import chapters, records
from lib.tokens.tokenization import encode

WORDS = ["river", "mountain", "king", "bread", "water", "stone", "house", "fire", "light", "road", "gate", "tree"]
SETTINGS = {
    "original": "a", "translations": ("b",), "length": 24, "passages_per_condition": 2, "copies": (0, 1, 3), "near": 3,
    "beside": (0, 1), "replaced": (2, 12), "filler_characters": 200, "filler_chapters": 2,
}  # fmt: skip


def book(changed: bool) -> dict[int, str]:
    """Thirty chapters of four verses; of the other translation every fifth word is another one."""
    stream, found = np.random.default_rng(0), {}
    for chapter in range(1, 31):
        for verse in range(1, 5):
            words = stream.choice(WORDS, 14).tolist()
            words[::5] = ["sea"] * 3 if changed else words[::5]
            found[1_000_000 + 1000 * chapter + verse] = " ".join(words)
    return found


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text")
    with hdf5.create(path / "text.h5") as file:
        hdf5.write_texts(file, "train", [f"Documentation {n} of a package." for n in range(30)])
    return path


@pytest.fixture(autouse=True)
def books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapters, "verses", lambda name: book(changed=name == "b"))


def made(text: Path, tokenizer: Path, out: Path, **changes) -> Path:
    out.mkdir()
    planted_text.run(planted_text.Config(**{**SETTINGS, **changes}), {"text": text, "tokenizer": tokenizer}, out)
    return out


def test_copies_and_their_distances_are_those_of_the_text(text: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    out, tokenizer = made(text, tiny_tokenizer, tmp_path / "out"), loading.load_tokenizer(tiny_tokenizer)
    passages = [one.text for one in records.read(out / "passages.jsonl", records.MADE)]
    kind, setting = (hdf5.read_texts(out / "planted.h5", name) for name in ("kind", "setting"))
    level, exact, near = (hdf5.read(out / "planted.h5", name).tolist() for name in ("level", "exact", "near"))
    given = Counter(zip(kind, setting, level, exact, near))
    assert set(given.values()) == {2}
    assert len(given) == 9
    target, distance = (hdf5.read(out / "near_duplicates.h5", f"levenshtein/{name}") for name in ("target", "distance"))
    names, train = (hdf5.read_texts(out / "text.h5", name) for name in ("train_names", "train"))
    for row, passage in enumerate(passages):
        ids = encode(tokenizer, passage)
        assert len(ids) == 24
        copies = [one for name, one in zip(names, train) if name == f"passage {row}"]
        assert copies.count(passage) == exact[row]
        assert len(copies) == exact[row] + near[row]
        found = [Levenshtein.distance(ids, encode(tokenizer, copy)) for copy in copies]
        assert distance[target == row].tolist() == [min(one, 24) for one in found]
        if kind[row] == "translation":
            assert len(set(copies) - {passage}) == 1
            assert "sea" in copies[-1]
        if kind[row] == "replace":
            assert min(found[exact[row] :]) >= 1
            assert np.mean(found[exact[row] :]) > level[row] / 2


def test_no_passage_stands_in_the_rest_of_the_text(text: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    out = made(text, tiny_tokenizer, tmp_path / "out")
    names, train = (hdf5.read_texts(out / "text.h5", name) for name in ("train_names", "train"))
    rest = [one for name, one in zip(names, train) if not name.startswith("passage")]
    verses = {int(one.name) // 1000 for one in records.read(out / "passages.jsonl", records.MADE)}
    chosen = [int(name.removeprefix("chapter ")) for name in names if name.startswith("chapter")]
    assert len(chosen) == 2
    assert verses.isdisjoint(chosen)
    for one in records.read(out / "passages.jsonl", records.MADE):
        assert not any(one.text in document for document in rest)


def test_passages_stay_where_the_seed_or_planting_changes(text: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    first, other, bare = (
        made(text, tiny_tokenizer, tmp_path / name, **changes)
        for name, changes in (("a", {"seed": 1}), ("b", {"seed": 2}), ("c", {"plant": False}))
    )
    files = [(folder / "passages.jsonl").read_bytes() for folder in (first, other, bare)]
    assert files[0] == files[1] == files[2]
    assert (first / "planted.h5").read_bytes() != (other / "planted.h5").read_bytes()
    assert not hdf5.read(bare / "planted.h5", "exact").any()
    assert len(hdf5.read(bare / "near_duplicates.h5", "levenshtein/target")) == 0
    names = hdf5.read_texts(bare / "text.h5", "train_names")
    assert not any(name.startswith("passage") for name in names)
    again = made(text, tiny_tokenizer, tmp_path / "again", seed=1)
    assert (again / "text.h5").read_bytes() == (first / "text.h5").read_bytes()


def test_too_few_chapters_are_said(text: Path, tiny_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"a: only \d+ chapters have a passage of 24 tokens"):
        made(text, tiny_tokenizer, tmp_path / "out", passages_per_condition=9)
    with pytest.raises(ValueError, match="a passage has 24 tokens"):
        planted_text.Config(**{**SETTINGS, "replaced": (25,)})
