"""Fragments and spans of texts, over byte-level, sentencepiece-like and WordPiece tokenizers."""

from pathlib import Path

import pytest

from lib.models import loading
from lib.tokens import vocabulary
from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode, special_ids

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
