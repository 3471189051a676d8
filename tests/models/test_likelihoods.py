"""Prefixes and openings of the scored texts."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from lib.base.errors import TesseraError
from lib.models import loading
from lib.models.likelihoods import opening, recall_prefixes, under_reference


def test_no_non_member_is_its_own_prefix():
    rows = [np.array([10 * row, 10 * row + 1]) for row in range(5)]
    common, own = recall_prefixes(rows, shots=2)
    assert common.tolist() == [0, 1, 10, 11]
    assert [prefix.tolist() for prefix in own] == [[10, 11, 20, 21], [0, 1, 20, 21]] + [[0, 1, 10, 11]] * 3


@pytest.mark.parametrize("shots", [0, 3, 4])
def test_a_prefix_needs_other_non_members(shots):
    with pytest.raises(ValueError, match="non-members, found 3"):
        recall_prefixes([np.array([1])] * 3, shots)


def test_opening_is_the_tokenizers_own_a_named_one_or_none(tiny_tokenizer):
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer)
    assert (opening(tokenizer).tolist(), opening(tokenizer, "<mask>").tolist()) == ([0], [1])
    assert opening(tokenizer, "").size == 0
    with pytest.raises(TesseraError, match="'<s>' is not a token"):
        opening(tokenizer, "<s>")
    tokenizer.bos_token = None
    assert opening(tokenizer).size == 0


@pytest.mark.parametrize(
    ("text", "first", "fault"),
    [("a", [], "1 tokens; at least 2 are needed"), ("", [], "an empty text"), ("", [0], "an empty text")],
)
def test_a_text_without_a_token_to_score_is_an_error_beside_longer_ones_too(tiny_causal_lm, text, first, fault):
    """Its padding must not stand in for it: a mean over no tokens is NaN."""
    model, tokenizer = loading.load_causal_lm(tiny_causal_lm), loading.load_tokenizer(tiny_causal_lm)
    for others in ([], ["the river remembers"]):
        with pytest.raises(ValueError, match=f"row 0: {fault}"):
            under_reference(model, tokenizer, [text, *others], 4, np.array(first, dtype=np.int64))
