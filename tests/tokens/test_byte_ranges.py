"""Tokens to bytes: exact at every border, whole characters, tokenizers of every kind."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from lib.base.errors import TesseraError
from lib.tokens.byte_ranges import Aligner
from lib.tokens.tokenization import encode

TEXTS = [
    "the quick brown fox",
    "東京 naïve 🦊🦊 fox's  \n\n  e\u0301",
    "",
    "\t<|endoftext|> 12",
    "\u0301東",
    "a\u00a0\ufffd b",
]


def ids_of(tokenizer, text: str) -> np.ndarray:
    return np.array(encode(tokenizer, text), np.uint32)


def expected(tokenizer, text: str, ids: np.ndarray, first: int, last: int) -> list[int]:
    """By decoding every prefix: what two prefixes have in common with the text, to whole characters outwards."""
    lengths = [len(b"".join(map(tokenizer.byte_spelling, ids[:end].tolist()))) for end in (first, last)]
    heads = [0, *np.cumsum([len(one.encode()) for one in text]).tolist()]
    return [max(head for head in heads if head <= lengths[0]), min(head for head in heads if head >= lengths[1])]


@pytest.fixture(scope="module")
def byte_level(tokenizer):
    """The tiny tokenizer; what a token spells comes from the byte alphabet as transformers has it."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    tokenizer.byte_spelling = lambda index: bytes(byte_of[one] for one in tokenizer.convert_ids_to_tokens(index))
    return tokenizer


@settings(max_examples=60)
@given(data=st.data())
def test_every_range_of_any_text(byte_level, data) -> None:
    text = data.draw(st.one_of(st.sampled_from(TEXTS), st.text(max_size=20)))
    ids = ids_of(byte_level, text)
    aligner = Aligner(byte_level)
    for first, last in itertools.combinations(range(len(ids) + 1), 2):
        wanted = expected(byte_level, text, ids, first, last)
        assert aligner.byte_ranges(text, ids, [(first, last)]).tolist() == [wanted]
        data_cut = text.encode()
        (data_cut[: wanted[0]] + data_cut[wanted[1] :]).decode()  # whole characters stay


def test_a_character_of_two_ranges_is_in_the_first(byte_level) -> None:
    text = "東京"
    ids = ids_of(byte_level, text)
    assert len(ids) == 6  # a token a byte
    assert Aligner(byte_level).byte_ranges(text, ids, [(0, 1), (2, 3)]).tolist() == [[0, 3], [3, 3]]
    assert Aligner(byte_level).byte_ranges(text, ids, [(1, 2), (2, 5)]).tolist() == [[0, 3], [3, 6]]
    assert Aligner(byte_level).byte_ranges(text, ids, np.zeros((0, 2))).tolist() == []


@pytest.mark.parametrize("text", [one for one in TEXTS if one and "\u0301" not in one])
def test_offsets_give_what_bytes_give(byte_level, text: str) -> None:
    aligner, ids = Aligner(byte_level), ids_of(byte_level, text)
    plain = Aligner(byte_level)
    plain._bytes = None
    for pair in itertools.combinations(range(len(ids) + 1), 2):
        assert plain.byte_ranges(text, ids, [pair]).tolist() == aligner.byte_ranges(text, ids, [pair]).tolist()


def test_a_text_that_was_normalised_is_cut_as_it_was_written(tokenizer) -> None:
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    text = "fox e\u0301 jumps"
    ids = ids_of(tokenizer, text)
    at = len(encode(tokenizer, "fox"))
    (found,) = Aligner(tokenizer).byte_ranges(text, ids, [(at, len(ids))]).tolist()
    assert found == [3, len(text.encode())]


@pytest.mark.parametrize("name", ["sentencepiece_like", "wordpiece"])
def test_other_tokenizers_cut_their_own_words(request, name: str) -> None:
    tokenizer = request.getfixturevalue(name)
    text = "quick brown fox jumps over"
    ids = ids_of(tokenizer, text)
    tokens = tokenizer(text, add_special_tokens=False)
    where = [tokens.char_to_token(text.index(word)) for word in ("brown", "jumps")]
    ((start, stop),) = Aligner(tokenizer).byte_ranges(text, ids, [where]).tolist()
    assert text[start:stop].strip() == "brown fox"


def test_tokens_of_another_text_are_refused(byte_level) -> None:
    with pytest.raises(TesseraError, match="not those of its text"):
        Aligner(byte_level).byte_ranges("the fox", ids_of(byte_level, "a fox"), [(0, 1)])
