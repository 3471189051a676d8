"""Selection of canaries: each rule, its count, the bound; naive searches as the oracle."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.canaries import selection
from lib.canaries.selection import Rules, select
from lib.tokens import occurrences
from lib.tokens.tokenization import encode

RULES = Rules(length=6, max_jaccard=0.2)


def choose(texts: list[str], n: int, tokenizer, rules: Rules = RULES, batch_size: int = 2, **settings):
    draw = lambda indices: [texts[index] for index in indices]  # noqa: E731
    return select(draw, n, tokenizer, rules, max_draws=len(texts), batch_size=batch_size, **settings)


def test_a_canary_is_the_first_ids_of_its_text(tokenizer) -> None:
    chosen = choose(["the quick brown fox jumps over a lazy dog", "(x, y) = f[i]"], 2, tokenizer)
    assert chosen.tokens[0] == encode(tokenizer, "the quick brown fox jumps over a lazy dog")[:6]
    assert [len(ids) for ids in chosen.tokens] == [6, 6]
    assert chosen.draws == [0, 1]


def test_a_canary_beyond_ascii_is_kept(tokenizer) -> None:
    """A check of each id on its own rejects every one of these."""
    texts = ["\u00e9\u00e8\u00ea quick", "\U0001f600 fox jumps over"]
    rules = Rules(length=min(len(encode(tokenizer, text)) for text in texts) - 1)
    assert len(choose(texts, 2, tokenizer, rules).tokens) == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("fox", "too_short"),
        ("<mask> jumps over a lazy dog", "special_token"),
        ("ab cd\U0001f600 \U0001f601", "replacement_character"),  # the cut falls into a character
        ("ab \ufffd the quick brown fox jumps", "replacement_character"),
        ("\nthe quick brown fox jumps over", None),
    ],
)
def test_each_fault_has_its_name(text: str, cause: str | None, tokenizer) -> None:
    ids = encode(tokenizer, text)[: RULES.length]
    assert selection.fault(ids, tokenizer, RULES) == cause


def test_ids_that_their_text_does_not_give_are_no_canary(tokenizer) -> None:
    letters = [encode(tokenizer, letter)[0] for letter in "thequi"]  # as text these merge
    assert selection.fault(letters, tokenizer, RULES) == "round_trip"


def test_ids_that_change_between_separators_are_no_canary(sentencepiece_like) -> None:
    """After a line break Llama's tokenizer has no space to begin the first word with."""
    ids = encode(sentencepiece_like, "the quick brown fox")
    rules = Rules(length=len(ids))
    assert selection.fault(ids, sentencepiece_like, rules) == "separator"
    assert selection.fault(ids, sentencepiece_like, Rules(length=len(ids), separator=" ")) is None
    assert selection.fault(ids, sentencepiece_like, Rules(length=len(ids), separator="")) is None


def test_canaries_keep_their_distance_from_one_another_and_from_the_excluded(tokenizer) -> None:
    words = ["quick", "brown", "jumps", "lazy", "models", "remember", "rivers", "mountains", "letters", "numbers"]
    words += ["machines", "forget"]
    texts = [" ".join(chosen) for chosen in itertools.combinations(words, 5)]
    sets = [set(encode(tokenizer, text)[:6]) for text in texts]
    wanted = [17]  # row 17 is the excluded one
    for row in range(len(texts)):
        if all(len(sets[row] & sets[other]) / len(sets[row] | sets[other]) < 0.2 for other in wanted):
            wanted.append(row)
    kept = choose(texts, len(wanted) - 1, tokenizer, excluded=[encode(tokenizer, texts[17])[:6]])
    assert len(wanted) > 3
    assert kept.draws == wanted[1:]
    assert kept.rejections["overlap"] == wanted[-1] + 1 - len(kept.draws)


def test_the_bound_stops_the_loop_and_says_why(tokenizer) -> None:
    texts = ["fox", "<mask> jumps over a lazy dog", *["the quick brown fox jumps over a lazy dog"] * 6]
    with pytest.raises(TesseraError) as error:
        choose(texts, 2, tokenizer)
    message = str(error.value)
    assert "only 1 of 2 canaries in 8 draws" in message
    assert "too_short 1, special_token 1, overlap 5" in message
    assert "raise max_jaccard" in message


def test_an_error_of_the_tokenizer_is_not_swallowed() -> None:
    class Broken:
        is_fast = True

        def __call__(self, *_, **__):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        choose(["text"], 1, Broken())


@given(st.integers(1, 9))
def test_batches_change_nothing(tokenizer, batch_size: int) -> None:
    texts = [
        "fox",
        "the quick brown fox jumps",
        "0123456789 (x",
        "the quick brown fox jumps",
        "letters models rivers",
        "m",
    ]
    chosen = choose(texts, 3, tokenizer, batch_size=batch_size)
    assert chosen.draws == [1, 2, 4]
    assert chosen.drawn == 5
    assert {cause: count for cause, count in chosen.rejections.items() if count} == {"too_short": 1, "overlap": 1}


@given(st.frozensets(st.integers(0, 9)), st.frozensets(st.integers(0, 9)))
def test_jaccard(a: frozenset[int], b: frozenset[int]) -> None:
    union = [x for x in range(10) if x in a or x in b]
    wanted = sum(x in a and x in b for x in union) / len(union) if union else 0
    assert selection.jaccard(a, b) == pytest.approx(wanted)


@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_occurrences_equal_a_naive_search(document: list[int], ids: list[int]) -> None:
    wanted = [start for start in range(len(document)) if document[start : start + len(ids)] == ids]
    assert occurrences.find(document, ids).tolist() == wanted


def test_known_occurrences() -> None:
    assert len(occurrences.find(np.array([7] * 4), np.array([7] * 2))) == 3  # "aa" in "aaaa"
    assert len(occurrences.find([1, 2], [])) == 0


def test_a_text_that_the_sampler_threw_away_is_counted(tokenizer) -> None:
    found = choose([None, "the quick brown fox jumps over a lazy dog", None], 1, tokenizer)
    assert found.rejections["end_of_text"] == 1
    assert "end_of_text" not in choose(["the quick brown fox jumps over a lazy dog"], 1, tokenizer).rejections
