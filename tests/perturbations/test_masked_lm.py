"""Replacement candidates against one forward pass at a time, what is masked, and what may not be offered."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.models import loading
from lib.perturbations import masked_lm, pools
from lib.perturbations.candidates import ReplacementCandidates
from lib.perturbations.replace import Keys, variation
from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode, special_ids
from lib.tokens.vocabulary import spans

TEXTS = (" jumps over the lazy dog and rivers", "caf\u00e9 \U0001f600 quick brown fox letters remember numbers")
LENGTH = 11


@pytest.fixture(scope="module")
def model(tiny_masked_lm: Path):
    return loading.load_masked_lm(tiny_masked_lm)


@pytest.fixture(scope="module")
def tokens(tokenizer) -> np.ndarray:
    return np.array([encode(tokenizer, text)[:LENGTH] for text in TEXTS])


@pytest.fixture(scope="module")
def pool(tokenizer) -> pools.Pool:
    return pools.vocabulary_pool(tokenizer, tokenizer)


def offered(tokens, pool, tokenizer, model, **settings) -> ReplacementCandidates:
    settings = {"top_k": 4, "batch_size": 7, **settings}
    return masked_lm.likely_candidates(tokens, pool, tokenizer, model, tokenizer, **settings)


def test_candidates_are_the_top_k_of_one_pass_for_each_position(tokens, pool, tokenizer, model) -> None:
    found = offered(tokens, pool, tokenizer, model)
    banned = special_ids(tokenizer) | {i for i in range(400) if REPLACEMENT_CHARACTER in decode(tokenizer, [i])}
    for row, ids in enumerate(tokens.tolist()):
        for position in np.flatnonzero(found.replaceable[row]):
            masked = torch.tensor([[*ids[:position], tokenizer.mask_token_id, *ids[position + 1 :]]])
            with torch.no_grad():
                logits = model(input_ids=masked).logits[0, position]
            logits[sorted(banned | {ids[position]})] = -torch.inf
            wanted = [[index] for index in logits.topk(4).indices.tolist()]
            assert [list(found.sequences[i]) for i in found.options[row * LENGTH + position]] == wanted


def test_a_part_of_a_character_is_never_replaced(tokens, pool, tokenizer, model) -> None:
    found = offered(tokens, pool, tokenizer, model)
    broken = [REPLACEMENT_CHARACTER in decode(tokenizer, [index]) for index in tokens[1]]
    assert 2 < sum(broken) < LENGTH
    np.testing.assert_array_equal(found.replaceable, [[True] * LENGTH, np.logical_not(broken)])
    assert all(len(found.options[LENGTH + position]) == 0 for position in np.flatnonzero(broken))


@given(st.integers(0, 999), st.integers(1, LENGTH), st.booleans())
def test_variations_are_clean_text_without_the_original(
    tokens, pool, tokenizer, seed: int, r: int, spread: bool
) -> None:
    candidates = pools.random_candidates(tokens, pool, tokenizer)
    for row, canary in enumerate(tokens.tolist()):
        made = variation(canary, row, 0, candidates, Keys(replaced_tokens=r, variations=1, spread=spread, seed=seed))
        assert REPLACEMENT_CHARACTER not in decode(tokenizer, made)
        assert not special_ids(tokenizer) & set(made)
        usable = int(candidates.replaceable[row].sum())
        changed = sum(a != b for a, b in zip(canary, made))
        assert changed == r if usable == LENGTH and not spread else changed <= min(r, usable)


def test_batch_size_changes_nothing(tokens, pool, tokenizer, model) -> None:
    one, many = (offered(tokens, pool, tokenizer, model, batch_size=size) for size in (1, 100))
    assert [row.tolist() for row in one.options] == [row.tolist() for row in many.options]


def test_models_whose_head_is_unknown_give_the_same(tokens, pool, tokenizer, model, monkeypatch) -> None:
    known = offered(tokens, pool, tokenizer, model)
    monkeypatch.setattr(masked_lm, "HEADS", {})
    unknown = offered(tokens, pool, tokenizer, model)
    assert [row.tolist() for row in known.options] == [row.tolist() for row in unknown.options]


def test_predictions_are_spelled_in_the_targets_ids(tokens, tokenizer, wordpiece) -> None:
    """A WordPiece model offers words without their space and '##' pieces; the target must read them in place."""
    pool = pools.vocabulary_pool(wordpiece, tokenizer)
    assert {len(ids) for ids in pool.sequences} >= {1, 2, 3}
    for text, ids in zip(pool.texts, pool.sequences):
        assert decode(tokenizer, [*tokens[0], *ids]) == decode(tokenizer, tokens[0]) + text
    assert " fox" in pool.texts
    assert "ver" in pool.texts
    assert not any("[" in text or "##" in text for text in pool.texts)


def test_each_target_token_is_masked_as_its_text(tokens, tokenizer, wordpiece) -> None:
    replaceable = pools.random_candidates(tokens, pools.target_pool(tokenizer), tokenizer).replaceable
    masked = masked_lm.mask_each(tokens, replaceable, tokenizer, wordpiece, limit=100)
    text = decode(tokenizer, tokens[0])
    cuts = spans(tokenizer, tokens[0])
    for row, (ids, column) in enumerate(zip(masked.ids[:LENGTH], masked.columns)):
        before, after = text[: cuts[row][0]], text[cuts[row][1] :]
        assert (ids[0], ids[column], ids[-1]) == (2, 4, 3)  # [CLS] ... [MASK] ... [SEP]
        assert ids[1:column] == encode(wordpiece, before)
        assert ids[column + 1 : -1] == encode(wordpiece, after)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 50))
def test_context_is_cut_around_the_mask(n_left: int, n_right: int, room: int) -> None:
    left, right = list(range(n_left)), list(range(100, 100 + n_right))
    kept_left, kept_right, cut = masked_lm.fit(left, right, room)
    assert left[n_left - len(kept_left) :] == kept_left
    assert right[: len(kept_right)] == kept_right
    assert len(kept_left) + len(kept_right) == min(room, n_left + n_right)
    assert cut == (n_left + n_right > room)
    assert not cut or min(len(kept_left), len(kept_right)) >= min(n_left, n_right, room // 2)


def test_the_limit_is_the_models(tokens, pool, tokenizer, model) -> None:
    assert masked_lm.context_limit(model, tokenizer) == 259  # 260 places, the first is the padding's
    assert masked_lm.mask_each(tokens, np.ones_like(tokens, dtype=bool) & False, tokenizer, tokenizer, 9).ids == []
    short = masked_lm.mask_each(tokens[:1], np.ones((1, LENGTH), dtype=bool), tokenizer, tokenizer, 7)
    assert {len(ids) for ids in short.ids} == {7}
    assert short.cut == LENGTH


def test_the_original_is_recognised_by_its_text(tokens, pool, tokenizer) -> None:
    candidates = pools.random_candidates(tokens, pool, tokenizer)
    for row, position in zip(*np.nonzero(candidates.replaceable)):
        assert list(candidates.sequences[candidates.original[row, position]]) == [tokens[row, position]]


def test_top_k_beyond_the_vocabulary_is_refused(tokens, pool, tokenizer, model) -> None:
    with pytest.raises(TesseraError, match=r"top_k is 400; the masked LM has \d+ usable tokens"):
        offered(tokens, pool, tokenizer, model, top_k=400)


def test_a_tokenizer_without_mask_is_refused(tokens, tokenizer, sentencepiece_like) -> None:
    with pytest.raises(TesseraError, match="no mask token"):
        masked_lm.mask_each(tokens, np.ones_like(tokens, dtype=bool), tokenizer, sentencepiece_like, 50)
