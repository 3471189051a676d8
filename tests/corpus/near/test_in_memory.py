"""Near-duplicates of texts in memory against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.corpus.near import in_memory
from tests.support import brute_near_duplicates as brute

word = st.sampled_from("abcd")
texts = st.lists(st.lists(word, max_size=12), min_size=1, max_size=4)
targets = st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(word, min_size=n, max_size=n), min_size=1, max_size=3))


@given(texts, targets, st.integers(0, 5), st.sampled_from(["hamming", "levenshtein"]))
def test_it_finds_what_brute_force_finds(texts, targets, max_distance, metric) -> None:
    found = in_memory.find(texts, targets, max_distance, metric)
    chunks = [([ord(token) for token in text], [0, len(text)]) for text in texts]  # a chunk for each text
    codes = [[ord(token) for token in target] for target in targets]
    expected = brute.near_duplicates_of_corpus(chunks, codes, max_distance)[metric]
    assert list(zip(*(column.tolist() for column in found))) == expected


def test_tokens_may_be_words_or_ids() -> None:
    words = ["the", "cat", "sat", "on", "the", "mat"]
    ids = np.array([9, 70_000, 3, 1, 9, 2**40])
    for text, target in ((words, ["cat", "sat", "in"]), (ids, np.array([70_000, 3, 0]))):
        found = in_memory.find([text], [target], 1)
        assert [column.tolist() for column in found] == [[0], [0], [1], [1]]


@pytest.mark.parametrize(
    ("targets", "metric", "message"),
    [
        ([["a"], ["a", "b"]], "hamming", "target 1 has 2 tokens, target 0 has 1"),
        ([], "hamming", "targets have the shape"),
        ([["a"]], "jaccard", "known: hamming, levenshtein"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(targets, metric, message) -> None:
    with pytest.raises(TesseraError, match=message):
        in_memory.find([["a"]], targets, 1, metric)
