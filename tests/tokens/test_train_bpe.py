from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens import train_bpe

CORPUS = [
    "the quick brown fox jumps over the lazy dog, and then the fox jumps again over the other dog. " * 3,
    "0 1 2 (x)",
]


@pytest.fixture(scope="module")
def causal():
    return train_bpe.train_tokenizer(CORPUS, 300, masked=False)


@pytest.fixture(scope="module")
def masked():
    return train_bpe.train_tokenizer(CORPUS, 300, masked=True)


@given(text=st.text())
def test_every_text_is_spelled_back_exactly(causal, text):
    text = text.replace("<|endoftext|>", "")
    ids = causal(text, add_special_tokens=False)["input_ids"]
    assert causal.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False) == text


def test_the_causal_tokenizer_has_one_special_token(causal):
    assert causal.bos_token_id == causal.eos_token_id == causal.pad_token_id == 0
    assert causal.all_special_ids == [0]
    assert len(causal) == 300
    assert causal("fox").input_ids == causal("fox", add_special_tokens=False).input_ids


def test_the_masked_tokenizer_frames_a_text_as_roberta_does(masked):
    assert masked.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 4]
    inside = masked("a fox", add_special_tokens=False).input_ids
    assert masked("a fox").input_ids == [0, *inside, 2]
    assert masked("a<mask>b", add_special_tokens=False).input_ids.count(masked.mask_token_id) == 1


def test_the_first_merge_joins_the_most_frequent_pair(causal):
    """Oracle: a count of the pairs inside words by hand (a leading space belongs to its word)."""
    pairs = Counter()
    for text in CORPUS:
        for number, word in enumerate(text.split()):
            spelled = word if number == 0 else "\u0120" + word
            pairs.update(pairwise(spelled))
    first = min(index for token, index in causal.get_vocab().items() if len(token) == 2)
    best = {a + b for (a, b), count in pairs.items() if count == max(pairs.values())}
    assert causal.convert_ids_to_tokens(first) in best


def test_training_again_gives_the_same_tokenizer(causal, tmp_path):
    again = train_bpe.train_tokenizer(CORPUS, 300, masked=False)
    assert again.backend_tokenizer.to_str() == causal.backend_tokenizer.to_str()
    again.save_pretrained(tmp_path)
    assert loading.load_tokenizer(tmp_path).get_vocab() == causal.get_vocab()


@pytest.mark.parametrize("texts", [[], [""]])
def test_an_empty_corpus_is_refused(texts):
    with pytest.raises(TesseraError, match="the corpus is empty"):
        train_bpe.train_tokenizer(texts, 300, masked=False)


@pytest.mark.parametrize(
    ("size", "message"),
    [(10, "vocab_size is 10; it must be at least 257"), (5000, r"vocab_size 5000 is out of reach: .* gives \d+ ids")],
)
def test_a_vocabulary_that_the_corpus_cannot_fill_is_refused(size, message):
    with pytest.raises(TesseraError, match=message):
        train_bpe.train_tokenizer(CORPUS, size, masked=False)
