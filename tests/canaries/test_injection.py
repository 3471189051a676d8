"""Injection: any document comes back byte for byte, copies stand apart from words, slots depend on nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.canaries import injection
from lib.tokens.tokenization import encode, encode_with_offsets
from lib.training.sequences import with_bos

DOCUMENT = (
    "It came in  to be\r\nread.\n\n\u00c9t\u00e9 \U0001f600 after\tall, and old machines remember what they have read"
)
documents = st.text(st.sampled_from("ab\u00e9\U0001f600., \n\t\u00a0"), max_size=60)


@settings(max_examples=200)
@given(documents, st.lists(st.text(max_size=8), max_size=6), st.integers(0, 9), st.sampled_from(["\n", " ", "\n\n"]))
def test_removal_gives_the_document_back(document: str, copies: list[str], seed: int, separator: str) -> None:
    copies = copies[: len(injection.slots(document))]
    places = injection.choose_slots(document, len(copies), seed, 0)
    injected = injection.inject(document, copies, places, injection.edges("separator", separator))
    assert injection.remove(injected.text, injected.spans).encode() == document.encode()
    assert [injected.text[a:b] for a, b in injected.spans] == [separator + copy + separator for copy in copies]


@given(documents)
def test_slots_are_between_two_words(document: str) -> None:
    words = document.split()
    found = injection.slots(document)
    assert len(found) == max(0, len(words) - 1)
    assert [document[:place].split() for place in found] == [words[: n + 1] for n in range(len(found))]
    assert [document[place:].split() for place in found] == [words[n + 1 :] for n in range(len(found))]


def test_no_word_runs_into_a_copy() -> None:
    """Without the second separator "in" and "to be" would train "into be"."""
    injected = injection.inject("came to be", ["get in"], np.array([4]), injection.edges("separator", "\n"))
    assert injected.text == "came\nget in\n to be"
    assert injected.text.split() == ["came", "get", "in", "to", "be"]


@pytest.mark.parametrize("separator", ["", "--", "a"])
def test_a_separator_is_whitespace(separator: str) -> None:
    with pytest.raises(ValueError, match="it must be whitespace"):
        injection.edges("separator", separator)


def published_text(text: str, copies: list[str], words: list[int], behind: str) -> str:
    """As published: the text is split at spaces, and a copy stands before the word of each index (rising)."""
    pieces = text.split(" ")
    for word, copy in zip(words[::-1], copies[::-1]):
        pieces[word] = copy + behind + pieces[word]
    return " ".join(pieces)


@settings(max_examples=200)
@given(documents, st.lists(st.text(max_size=8), min_size=1, max_size=6), st.integers(0, 9), st.sampled_from(["", " "]))
def test_published_places_are_before_a_word_and_glued_to_it(document, copies, seed, behind) -> None:
    around = injection.edges("space" if behind else "glued", "not looked at")
    starts = injection.slots(document, before_a_word=True).tolist()
    copies = copies[: len(starts)]
    places = np.sort(injection.choose_slots(document, len(copies), seed, 0, before_a_word=True, nested=False))
    injected = injection.inject(document, copies, places, around)
    words = [starts.index(place) for place in places]
    assert injected.text == published_text(document, copies, words, behind)
    assert injection.remove(injected.text, injected.spans) == document
    assert [injected.text[a:b] for a, b in around.inner(injected.spans)] == copies


def test_a_glued_copy_runs_into_the_next_word_and_only_there(tokenizer) -> None:
    text, places = "we came over here", np.array([8])
    ids = encode(tokenizer, "get in the box and stay")
    for kind, trained in (("glued", "we came get in the box and stayover here"), ("space", None)):
        around = injection.edges(kind, "")
        injected = injection.inject(text, ["get in the box and stay"], places, around)
        assert trained is None or injected.text == trained
        document, offsets = encode_with_offsets(tokenizer, injected.text)
        tokens = injection.token_spans(offsets, around.inner(injected.spans))
        assert injection.contiguous(document, [ids], tokens, edge=1).tolist() == [True]


def test_a_number_of_copies_may_have_places_of_its_own() -> None:
    few, many = (injection.choose_slots(DOCUMENT, copies, 0, 0, nested=False).tolist() for copies in (5, 6))
    assert few != many[:5]


@given(st.integers(0, 9), st.integers(0, 99))
def test_slots_of_fewer_copies_are_the_first_of_more(seed: int, document: int) -> None:
    many = injection.choose_slots(DOCUMENT, 10, seed, document)
    assert len(set(many.tolist())) == 10
    for copies in range(10):
        np.testing.assert_array_equal(injection.choose_slots(DOCUMENT, copies, seed, document), many[:copies])


def test_seeds_and_documents_have_slots_of_their_own() -> None:
    drawn = {tuple(injection.choose_slots(DOCUMENT, 6, seed, document)) for seed in range(5) for document in range(5)}
    assert len(drawn) == 25


def test_the_original_stands_anywhere_among_the_copies() -> None:
    """The published code puts the original first in every document."""
    ranks = [np.argsort(np.argsort(injection.choose_slots(DOCUMENT, 4, 0, row)))[0] for row in range(2000)]
    counts = np.bincount(ranks, minlength=4)
    assert abs(counts - 500).max() < 100  # 5 standard deviations


def test_too_few_places_name_the_document() -> None:
    with pytest.raises(TesseraError, match="document 7: 2 places between two words for 3 copies"):
        injection.choose_slots("one two three", 3, 0, 7)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=30), st.integers(0, 5), st.integers(1, 40))
def test_scattered_pieces_are_the_canary_again(canary: list[int], copies: int, ngram: int) -> None:
    ngram = min(ngram, len(canary) - 1)
    pieces, owner = injection.scatter(canary, copies, ngram)
    assert len(pieces) == len(owner)
    for copy in range(copies):
        mine = [piece for piece, number in zip(pieces, owner) if number == copy]
        assert [token for piece in mine for token in piece] == canary
        assert [len(piece) for piece in mine[:-1]] == [ngram] * (len(mine) - 1) if copy else len(mine) == 1
    more, owners = injection.scatter(canary, copies + 1, ngram)
    assert more[: len(pieces)] == pieces
    assert owners[: len(owner)].tolist() == owner.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 50), st.integers(8, 40), st.sampled_from([None, 0]))
def test_counts_equal_a_naive_cut(tokenizer, seed: int, sequence_tokens: int, bos: int | None) -> None:
    copies = [" lazy dog quick brown", "fox jumps over", "letters and numbers", "caf\u00e9 \U0001f600"]
    places = injection.choose_slots(DOCUMENT, 4, seed, 0)
    injected = injection.inject(DOCUMENT, copies, places, injection.edges("separator", "\n"))
    ids, offsets = encode_with_offsets(tokenizer, injected.text)
    tokens = injection.token_spans(offsets, injected.spans + np.array([1, -1]))
    copied = [encode(tokenizer, copy) for copy in copies]
    assert [ids[a:b].tolist() for a, b in tokens] == copied
    assert injection.contiguous(ids, copied, tokens).all()
    trained = with_bos(ids, bos).tolist()
    pieces = [trained[start : start + sequence_tokens] for start in range(0, len(trained), sequence_tokens)]
    naive = [any(copy == piece[i : i + len(copy)] for piece in pieces for i in range(len(piece))) for copy in copied]
    assert injection.whole(tokens, sequence_tokens, bos).tolist() == naive


def test_ids_that_the_text_does_not_give_are_not_contiguous(sentencepiece_like) -> None:
    """Behind a line break the first word lacks the space that it is stored with; behind a space it has it."""
    for separator, survives in (("\n", False), (" ", True)):
        around = injection.edges("separator", separator)
        injected = injection.inject("a book about rivers", ["the quick fox"], np.array([6]), around)
        ids, offsets = encode_with_offsets(sentencepiece_like, injected.text)
        tokens = injection.token_spans(offsets, injected.spans + np.array([1, -1]))
        stored = [encode(sentencepiece_like, "the quick fox")]
        assert injection.contiguous(ids, stored, tokens).tolist() == [survives]


def test_the_published_loss_to_the_cut() -> None:
    """100 tokens, cut every 2,048: 99 of 2,048 starts are hit, 4.8 %."""
    starts = np.arange(2048)
    kept = injection.whole(np.stack([starts, starts + 100], axis=1), 2048, None)
    assert (~kept).sum() == 99
