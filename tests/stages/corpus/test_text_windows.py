"""The stage `text_windows`: every token of a text that is long enough is in a window, few tokens are left out."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.corpus import text_windows
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens.tokenization import encode

TEXTS = ["the quick brown fox jumps over a lazy dog while", "", "ten", "0123456789" * 3, "one " * 30]


@given(st.integers(0, 60), st.integers(1, 20))
def test_windows_cover_a_text_and_overlap_only_at_its_end(tokens: int, length: int) -> None:
    starts = text_windows.window_starts(tokens, length).tolist()
    assert sorted({at + shift for at in starts for shift in range(length)}) == list(range(tokens if starts else 0))
    assert len(starts) == (0 if tokens < length else -(-tokens // length))


def test_windows_are_of_the_tokens_of_each_text(tiny_tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in TEXTS))
    given_ = {"corpus": tmp_path / "b.jsonl", "tokenizer": tiny_tokenizer}
    config = text_windows.Config(length=8, min_unique_tokens=5, text_key="question")
    (tmp_path / "out").mkdir()
    text_windows.run(config, given_, tmp_path / "out")
    file = tmp_path / "out" / places.TARGETS
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    rows = [encode(tokenizer, text) for text in TEXTS]
    found = zip(*(hdf5.read(file, name).tolist() for name in ("text", "position", "tokens")))
    assert list(found) == [
        (number, at, row[at : at + 8])
        for number, row in enumerate(rows)
        for at in text_windows.window_starts(len(row), 8).tolist()
        if len(set(row[at : at + 8])) >= 5
    ]
    assert hdf5.read(file, "text_tokens").tolist() == list(map(len, rows))
    assert hdf5.read_texts(file, "names")[2] == "b.jsonl 3"
    assert set(hdf5.read(file, "text").tolist()) == {0, 3}  # 4 has one word alone


def test_texts_without_windows_are_an_error(tiny_tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one " * 9)
    given_ = {"corpus": tmp_path / "a.txt", "tokenizer": tiny_tokenizer}
    with pytest.raises(TesseraError, match="none of 1 texts has a window of 500 tokens, 1 of them different"):
        text_windows.run(text_windows.Config(length=500), given_, tmp_path / "out")
    with pytest.raises(ValueError, match="min_unique_tokens is 9; a window has 8 tokens"):
        text_windows.Config(length=8, min_unique_tokens=9)
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(TesseraError, match="no documents in it"):
        text_windows.run(text_windows.Config(), {**given_, "corpus": tmp_path / "none.jsonl"}, tmp_path / "out")
    assert np.array_equal(text_windows.window_starts(3, 4), [])
