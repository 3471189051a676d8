"""Texts to ids and back."""

import copy
import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from lib.base.errors import TesseraError
from lib.tokens.encoders import Encoder, Original
from lib.tokens.tokenization import (
    BosPolicy,
    bos_id,
    decode,
    encode,
    encode_all,
    encode_markup,
    encode_with_offsets,
    round_trips,
    special_ids,
    special_spellings,
    spells_any,
)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40))
def test_byte_level_text_survives_encoding(tokenizer, text: str) -> None:
    assert decode(tokenizer, encode(tokenizer, text)) == text


@pytest.fixture(scope="module")
def encoder(tiny_tokenizer) -> Encoder:
    return Encoder(PreTrainedTokenizerFast.from_pretrained(tiny_tokenizer))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["<|endoftext|>", "a", " ", "<|endof", "text|>", "\n"]), max_size=8).map("".join))
def test_the_spelling_of_a_special_token_is_text_wherever_texts_are_encoded(tokenizer, encoder, text: str) -> None:
    """A copy of the tokenizer that knows no special token is the oracle; `encode_markup` alone reads it otherwise."""
    bare = Tokenizer.from_str(json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()) | {"added_tokens": []}))
    plain = bare.encode(text, add_special_tokens=False).ids
    assert 0 not in plain
    assert decode(tokenizer, plain) == text
    ways = [encode(tokenizer, text), encode_all(tokenizer, ["", text])[1]]
    ways += [encode_with_offsets(tokenizer, text)[0].tolist(), encoder.compared([text], 0).ids.tolist()]
    assert ways == [plain] * len(ways)
    assert encode_markup(tokenizer, text).count(0) == text.count("<|endoftext|>")
    assert spells_any(text, special_spellings(tokenizer)) == ("<|endoftext|>" in text)


def test_added_tokens_that_are_not_special_stay_tokens(tiny_tokenizer) -> None:
    """Those of GPT-NeoX stand for runs of blanks. One of the two tokenizers is a slow one."""
    for tokenizer in (PreTrainedTokenizerFast.from_pretrained(tiny_tokenizer), ByT5Tokenizer()):
        tokenizer.add_tokens(["zqx"])
        added, special = tokenizer.convert_tokens_to_ids("zqx"), special_spellings(tokenizer)[0]
        assert encode(tokenizer, "a zqx b").count(added) == 1
        assert special_ids(tokenizer).isdisjoint(encode(tokenizer, f"a{special}"))
        assert not special_ids(tokenizer).isdisjoint(encode_markup(tokenizer, f"a{special}"))


def test_the_original_stays_plain_when_others_use_its_tokenizer(tokenizer) -> None:
    original = Original(tokenizer)
    assert tokenizer("<|endoftext|>")["input_ids"] == [0]
    assert 0 not in original.encode(["<|endoftext|>"]).ids


def test_nothing_is_added(tokenizer, wordpiece) -> None:
    assert not special_ids(wordpiece) & set(encode(wordpiece, "the quick fox"))
    assert encode(tokenizer, "") == []


def test_round_trip_of_the_whole_where_single_ids_break(tokenizer) -> None:
    ids = encode(tokenizer, "caf\u00e9 \U0001f600")
    assert round_trips(tokenizer, ids)
    assert not all(round_trips(tokenizer, [index]) for index in ids)
    assert not round_trips(tokenizer, ids[:-1])


def test_offsets_are_those_of_each_token(tokenizer) -> None:
    text = "the quick caf\u00e9 fox"
    ids, offsets = encode_with_offsets(tokenizer, text)
    assert ids.tolist() == encode(tokenizer, text)
    plain = [i for i, (a, b) in enumerate(offsets) if decode(tokenizer, [ids[i]]) == text[a:b]]
    assert len(plain) == len(ids) - 2  # e with an accent is two ids, neither of them a character
    assert encode_with_offsets(tokenizer, "")[1].shape == (0, 2)


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast, name_or_path = False, "some/model"

    with pytest.raises(TesseraError, match="some/model: a slow tokenizer"):
        encode_with_offsets(Slow(), "text")


def test_the_opening_of_a_document_by_policy(tokenizer) -> None:
    """GPT-Neo's tokenizer has a BOS and does not use it; those of Llama and Gemma begin each text with theirs."""
    opens = copy.deepcopy(tokenizer)
    opens.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    found = {policy: (bos_id(tokenizer, policy), bos_id(opens, policy)) for policy in get_args(BosPolicy)}
    assert found == {"document": (0, 0), "tokenizer": (None, 0), "none": (None, None)}


def test_ids_may_be_numpy(tokenizer) -> None:
    assert decode(tokenizer, np.array(encode(tokenizer, "lazy dog"), dtype=np.uint32)) == "lazy dog"
