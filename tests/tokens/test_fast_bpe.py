"""The faster way to byte-level BPE against the tokenizer itself, and the scanner of pieces against its expression."""

from collections.abc import Callable

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lib.tokens import encoders, fast_bpe, pieces
from lib.tokens.encoders import Disagreement, Encoder, Original, agree, batches, sampled
from lib.tokens.fast_bpe import NotByteLevel
from lib.tokens.tokenization import encode_all

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<mask>"]
CORPUS = (
    "the quick brown fox's jumps  over\n\n    a lazy dog, it'll remember 1234 rivers -- naïve café 東京 (x) = f[i];\t"
)
# Every class, neighbours that the rule treats apart, newer letters, bytes of every UTF-8 length, special strings.
ODD = [
    *"aZ'stmdlrve09 .,-(\n\t\r\0", "  ", "é", "ß", "東", "٣", "½", "\u00a0", "\u3000", "\u0085", "\u200b", "\u0301",
    "\ufeff", "\U0001f600", "\U000323b0", "\U0001e4d0", "\U0010ffff", *SPECIAL, "<|endof", "the", " lazy", "'ll", "'RE",
    "e\u0301",
]  # fmt: skip
texts = st.lists(st.sampled_from(ODD) | st.characters(codec="utf-8"), max_size=24).map("".join)
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
merged_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def make(pre_tokenizer=byte_level, normalizer=None, added: tuple = ()) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        backend.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([CORPUS * 3, CORPUS.title()], trainer)
    backend.add_tokens(list(added))
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=SPECIAL[0], mask_token=SPECIAL[1])


KINDS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "gpt2": make,
    "llama": lambda: make(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA), "isolated"), merged_only])),
    "digits": lambda: make(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])),
    "neox": lambda: make(normalizer=normalizers.NFC(), added=(AddedToken("  "), AddedToken("    "))),
    "uncovering": lambda: make(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\w+"), "isolated"), merged_only])),
}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    found = Encoder(KINDS[request.param]())
    assert (found.engine, found.reason) == ("tiktoken", "")
    return found


@settings(max_examples=60)
@given(st.lists(texts, max_size=4))
def test_ids_equal_the_tokenizers_own(encoder: Encoder, some: list[str]) -> None:
    assert agree(encoder.fast(some), encoder.original.encode(some))


def test_long_runs_and_long_words(encoder: Encoder) -> None:
    some = [unit * count for unit in (" ", "\n", "a", "1", "-", "é", " a", "\n ", "東") for count in (31, 32, 33, 3000)]
    assert agree(encoder.fast(some), encoder.original.encode(some))


def test_every_assigned_or_unassigned_character(encoder: Encoder) -> None:
    """In chunks, behind a letter and a blank: the libraries' versions of Unicode differ in 17,000 letters."""
    points = [chr(point) for point in range(0, 0x110000, 7) if not 0xD800 <= point < 0xE000]
    some = ["a ".join(points[start : start + 64]) for start in range(0, len(points), 6400)]
    assert agree(encoder.fast(some), encoder.original.encode(some))


def test_special_strings_are_plain_text() -> None:
    encoder = Encoder(make())
    special = set(encoder.original.tokenizer.all_special_ids)
    found = encoder.fast(["x<|endoftext|>y <mask>"])
    assert special.isdisjoint(found.ids.tolist())
    assert encoder.original.tokenizer.decode(found.ids.tolist()) == "x<|endoftext|>y <mask>"


@given(st.lists(st.sampled_from([one for one in ODD if not one.isspace() or one == " "] + ["\n", "\t"])).map("".join))
def test_pieces_are_those_of_the_expression(text: str) -> None:
    text = "".join(character for character in text if ord(character) < 0x10000)
    data, found, start = np.frombuffer(text.encode(), np.uint8), [], 0
    while start < len(data):
        end = pieces.piece_end(data, start, len(data), fast_bpe.classes())
        found.append(data[start:end].tobytes().decode())
        start = end
    assert found == regex.findall(GPT2, text)


@settings(max_examples=40)
@given(st.lists(st.lists(texts, max_size=3), max_size=5))
def test_a_full_table_and_a_forgotten_one_change_nothing(rounds: list[list[str]]) -> None:
    def spell(some: list[bytes]) -> pieces.Encoded:
        return fast_bpe.joined([[1000 + len(piece), *piece[1:]] for piece in some])

    small, large = (pieces.PieceEncoder(spell, fast_bpe.classes(), slots) for slots in (8, 1 << 12))
    for some in rounds:
        data = [text.encode() for text in some]
        assert agree(small.encode(data), large.encode(data))


def test_pieces_that_hold_the_separator_are_spelled_like_others() -> None:
    encoder = Encoder(make())
    for text in (pieces.SEPARATOR, f"a {pieces.SEPARATOR}b", f"{pieces.SEPARATOR * 3} the the", "\U0010fffe x"):
        assert agree(encoder.fast([text, "the end"]), encoder.original.encode([text, "the end"]))


def test_what_is_no_byte_level_bpe_is_refused_with_the_reason() -> None:
    prefixed = make(pre_tokenizers.ByteLevel(add_prefix_space=True))
    lowered = make(normalizer=normalizers.Lowercase())
    stripped = make(added=(AddedToken("<x>", lstrip=True),))
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?")))
    found = {"prefix": prefixed, "normalizer": lowered, "'<x>'": stripped, "pre-tokenizer": words}
    for reason, tokenizer in found.items():
        encoder = Encoder(tokenizer)
        assert encoder.engine == "tokenizers"
        assert reason in encoder.reason
        assert agree(encoder.compared(["a b A"], 0), encoder.original.encode(["a b A"]))


def test_tokens_that_their_own_merges_do_not_give_are_refused() -> None:
    alphabet = list(fast_bpe.byte_characters())
    vocabulary = {token: index for index, token in enumerate([*alphabet, "ab", "bc", "abc"])}
    backend = Tokenizer(models.BPE(vocabulary, [("b", "c"), ("a", "b"), ("ab", "c")]))  # "abc" merges to a, bc
    backend.pre_tokenizer = byte_level
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    with pytest.raises(NotByteLevel, match="do not give 'abc' from its bytes"):
        fast_bpe.build(tokenizer, Original(tokenizer).encode)


def test_ids_need_not_be_in_the_order_of_merges() -> None:
    alphabet = list(fast_bpe.byte_characters())
    tokens = ["abc", "ab", *reversed(alphabet), "bcd"]
    backend = Tokenizer(models.BPE({token: 2 * index for index, token in enumerate(tokens)}, [("a", "b"), ("ab", "c")]))
    backend.pre_tokenizer = byte_level
    encoder = Encoder(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert encoder.fast(["abcab"]).ids.tolist() == [0, 2]
    assert encoder.original.vocab_size == 2 * len(tokens) - 1


def test_a_sampled_document_that_differs_is_found_and_only_a_sampled_one() -> None:
    encoder = Encoder(make())
    right = encoder.fast
    encoder.fast = lambda some: right([text.replace("rare", "RARE") for text in some])
    for number, text in enumerate(["rare"] * 20):
        if sampled(number):
            with pytest.raises(Disagreement, match=f"document {number}: other ids"):
                encoder.compared([text], number)
        else:
            encoder.compared([text], number)
    assert [number for number in range(5000) if sampled(number)][:6] == [0, 1, 3, 7, 15, 31]
    assert sampled(2048)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_much_text_gets_the_ids_of_little_text_row_by_row(kind, monkeypatch, capsys) -> None:
    tokenizer, some = KINDS[kind](), [CORPUS * 3, "", SPECIAL[0], CORPUS, "rivers"]
    wanted = encode_all(tokenizer, some)
    monkeypatch.setattr(encoders, "LARGE", 100)
    for right in (True, False):
        if not right:
            monkeypatch.setattr(encoders, "agree", lambda left, right: False)
        assert [list(row) for row in encoders.encode_large(tokenizer, some)] == wanted
        assert ("all texts go through the original tokenizer" in capsys.readouterr().out) != right


def test_truncation_and_padding_of_a_saved_tokenizer_are_switched_off() -> None:
    tokenizer = make()
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    found = Original(tokenizer).encode(["the quick brown fox's jumps", "a", ""])
    assert found.lengths[1:].tolist() == [1, 0]
    assert found.lengths[0] > 3


def test_the_name_is_the_definitions() -> None:
    assert Original(make()).name == Original(make()).name != Original(KINDS["digits"]()).name


@given(st.lists(texts, max_size=12), st.integers(1, 30))
def test_batches_are_all_texts_in_order(some: list[str], size: int) -> None:
    found = list(batches(iter(some), size))
    assert [text for _, batch in found for text in batch] == some
    assert [first for first, _ in found] == [sum(len(batch) for _, batch in found[:row]) for row in range(len(found))]
    assert all(sum(map(len, batch[:-1])) < size for _, batch in found)


def test_no_texts(encoder: Encoder) -> None:
    assert encoder.fast([]).ids.tolist() == encoders.Original(make()).encode([]).ids.tolist() == []
