"""Candidates of a causal model against one forward pass for each text before, and for each proposal."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lib.base.errors import UsageError
from lib.models import loading
from lib.perturbations import causal_lm, pools
from lib.perturbations.candidates import PROPOSALS, ReplacementCandidates
from lib.tokens.tokenization import decode, encode
from lib.tokens.vocabulary import spans

TEXTS = (" jumps over the lazy dog and rivers", "caf\u00e9 \U0001f600 quick brown fox letters remember numbers")
LENGTH = 11


@pytest.fixture(scope="module")
def model(tiny_causal_lm: Path):
    return loading.load_causal_lm(tiny_causal_lm)


@pytest.fixture(scope="module")
def tokens(tokenizer) -> np.ndarray:
    return np.array([encode(tokenizer, text)[:LENGTH] for text in TEXTS])


@pytest.fixture(scope="module")
def pool(tokenizer) -> pools.Pool:
    return pools.one_id_each(pools.vocabulary_pool(tokenizer, tokenizer))


def offered(tokens, pool, tokenizer, model, top_k: int = 4, batch_size: int = 7) -> ReplacementCandidates:
    start = tokenizer.bos_token_id
    return causal_lm.likely_candidates(
        tokens, pool, tokenizer, model, tokenizer, start, top_k=top_k, batch_size=batch_size
    )


def after(model, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float().log_softmax(0)


def test_the_text_before_proposes_and_the_next_token_decides(tokens, pool, tokenizer, model) -> None:
    found = offered(tokens, pool, tokenizer, model)
    for row, ids in enumerate(tokens.tolist()):
        text, cuts = decode(tokenizer, ids), spans(tokenizer, ids)
        for position in np.flatnonzero(found.replaceable[row]):
            before = [tokenizer.bos_token_id, *encode(tokenizer, text[: cuts[position][0]])]
            rest = encode(tokenizer, text[cuts[position][1] :])
            likely = after(model, before)[torch.from_numpy(pool.ids)]
            likely[int(found.original[row, position])] = -torch.inf
            scores = {}
            for index in likely.topk(PROPOSALS).indices.tolist():
                follows = float(after(model, [*before, int(pool.ids[index])])[rest[0]]) if rest else 0.0
                scores[index] = float(likely[index]) + follows
            chosen = found.options[row * LENGTH + position].tolist()
            values = [scores[index] for index in chosen]
            np.testing.assert_allclose(values, sorted(scores.values(), reverse=True)[:4], atol=1e-5)


def test_more_than_the_proposals_are_the_likeliest(tokens, pool, tokenizer, model) -> None:
    found = offered(tokens[:1], pool, tokenizer, model, top_k=40)
    few = offered(tokens[:1], pool, tokenizer, model, top_k=PROPOSALS)
    for many, some in zip(found.options, few.options):
        assert len(set(many.tolist())) in (0, 40)
        assert many[:PROPOSALS].tolist() == some.tolist()


def test_batch_size_changes_nothing(tokens, pool, tokenizer, model) -> None:
    one, many = (offered(tokens, pool, tokenizer, model, batch_size=size) for size in (1, 100))
    assert [row.tolist() for row in one.options] == [row.tolist() for row in many.options]


def test_a_replacement_is_one_id_of_the_target(tokens, tokenizer, wordpiece) -> None:
    pool = pools.vocabulary_pool(wordpiece, tokenizer)
    single = pools.one_id_each(pool)
    assert {len(ids) for ids in single.sequences} == {1}
    assert 0 < len(single.texts) < len(pool.texts)
    index = {text: (ids, number) for text, ids, number in zip(pool.texts, pool.sequences, pool.ids)}
    assert all(index[text] == (ids, n) for text, ids, n in zip(single.texts, single.sequences, single.ids))


def test_top_k_beyond_the_vocabulary_is_refused(tokens, pool, tokenizer, model) -> None:
    with pytest.raises(UsageError, match=r"top_k is 4000; the causal LM has \d+ usable tokens"):
        offered(tokens, pool, tokenizer, model, top_k=4000)
