"""Texts to ids and back, and fragments, over byte-level, sentencepiece-like and WordPiece tokenizers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens import vocabulary
from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode, encode_with_offsets, round_trips, special_ids

TEXTS = [
    "the quick brown fox",
    " jumps  over\n\na lazy dog ",
    "caf\u00e9 \U0001f600\U0001f600 dog",
    "x",
    "\u4f60\u597d",
]


@pytest.fixture(scope="module")
def byte_level(tiny_tokenizer: Path):
    return loading.load_tokenizer(tiny_tokenizer)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40))
def test_byte_level_text_survives_encoding(byte_level, text: str) -> None:
    if not {"<|endoftext|>", "<mask>"} & {text}:
        assert decode(byte_level, encode(byte_level, text)) == text


def test_nothing_is_added_and_special_strings_become_special_ids(byte_level, wordpiece) -> None:
    assert encode(byte_level, "a<|endoftext|>")[-1] == 0
    assert not special_ids(wordpiece) & set(encode(wordpiece, "the quick fox"))
    assert encode(byte_level, "") == []


def test_round_trip_of_the_whole_where_single_ids_break(byte_level) -> None:
    ids = encode(byte_level, "caf\u00e9 \U0001f600")
    assert round_trips(byte_level, ids)
    assert not all(round_trips(byte_level, [index]) for index in ids)
    assert not round_trips(byte_level, ids[:-1])


@pytest.mark.parametrize("name", ["byte_level", "sentencepiece_like"])
@pytest.mark.parametrize("text", TEXTS)
def test_spans_are_the_places_where_the_text_can_be_cut(name: str, text: str, request) -> None:
    tokenizer = request.getfixturevalue(name)
    ids = encode(tokenizer, text)
    whole = decode(tokenizer, ids)
    found = vocabulary.spans(tokenizer, ids)
    assert len(found) == len(ids)
    for index, span in zip(ids, found):
        piece = tokenizer.convert_ids_to_tokens(index)
        if span is None:
            assert (
                piece == "\u2581" or decode(tokenizer, [index]) == REPLACEMENT_CHARACTER * len(piece) or "<0x" in piece
            )
        else:
            plain = piece.replace("\u2581", " ") if name == "sentencepiece_like" else decode(tokenizer, [index])
            assert whole[slice(*span)] in (plain, plain.lstrip(" ")) or piece.startswith("<0x")


@pytest.mark.parametrize("name", ["byte_level", "sentencepiece_like", "wordpiece"])
def test_fragments_are_what_ids_add_to_a_text(name: str, request) -> None:
    tokenizer = request.getfixturevalue(name)
    found = vocabulary.fragments(tokenizer)
    assert not special_ids(tokenizer) & set(found.values())
    assert not any(REPLACEMENT_CHARACTER in text or not text for text in found)
    head = encode(tokenizer, "the")
    for text, index in found.items():
        assert decode(tokenizer, [*head, index]) == "the" + text
    word = " jumps" if name == "byte_level" else " the"
    assert word in found
    assert found[word] != found.get(word.strip())


@pytest.mark.parametrize("name", ["byte_level", "sentencepiece_like"])
def test_spelled_fragments_keep_or_lack_their_leading_space(name: str, request) -> None:
    tokenizer = request.getfixturevalue(name)
    texts = [" the", "the", "ing", " rivers", " zq\u00e9", "\n", "\n\n", "\U0001f600"]
    head = encode(tokenizer, "a book")
    for text, ids in zip(texts, vocabulary.spell(tokenizer, texts)):
        assert ids
        assert decode(tokenizer, [*head, *ids]) == "a book" + text


def test_a_fragment_with_a_special_token_cannot_be_spelled(byte_level) -> None:
    assert vocabulary.spell(byte_level, ["<|endoftext|>", "fox"])[0] == ()


def test_offsets_are_those_of_each_token(byte_level) -> None:
    text = "the quick caf\u00e9 fox"
    ids, offsets = encode_with_offsets(byte_level, text)
    assert ids.tolist() == encode(byte_level, text)
    plain = [i for i, (a, b) in enumerate(offsets) if decode(byte_level, [ids[i]]) == text[a:b]]
    assert len(plain) == len(ids) - 2  # e with an accent is two ids, neither of them a character
    assert encode_with_offsets(byte_level, "")[1].shape == (0, 2)


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast, name_or_path = False, "some/model"

    with pytest.raises(TesseraError, match="some/model: a slow tokenizer"):
        encode_with_offsets(Slow(), "text")


def test_ids_may_be_numpy(byte_level) -> None:
    assert decode(byte_level, np.array(encode(byte_level, "lazy dog"), dtype=np.uint32)) == "lazy dog"
