"""Evidence of texts under loaded models, against a plain pass of transformers for each text."""

import numpy as np
import pytest

from lib.attacks import checks, scores, texts
from lib.models import loading

TEXTS = ["The cat sat on the mat.", "A", "Ten green bottles, standing on THE wall"]


@pytest.fixture(scope="module")
def model(tiny_causal_lm):
    return loading.load_causal_lm(tiny_causal_lm)


def plain(model, tokenizer, text: str) -> np.ndarray:
    """log p of every id after BOS."""
    import torch

    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        log_p = model(ids).logits.log_softmax(-1)
    return log_p[0, :-1].gather(1, ids[0, 1:, None])[:, 0].numpy()


def test_every_text_has_the_log_probabilities_of_its_own_pass(model, tokenizer) -> None:
    found = texts.evidence(TEXTS, model, tokenizer)
    for name, given in (("log_probs", TEXTS), ("lower_log_probs", [text.lower() for text in TEXTS])):
        for row, text in zip(found[name], given, strict=True):
            np.testing.assert_allclose(row, plain(model, tokenizer, text), atol=2e-6)
    assert found["texts"] == TEXTS


def test_the_reference_gives_means_and_rows_of_the_same_tokens(model, tokenizer, wordpiece) -> None:
    found = texts.under_reference(TEXTS, model, tokenizer, tokenizer)
    expected = [plain(model, tokenizer, text) for text in TEXTS]
    np.testing.assert_allclose(found["reference_means"], [row.mean() for row in expected], atol=2e-6)
    for row, other in zip(found["reference_log_probs"], expected, strict=True):
        np.testing.assert_allclose(row, other, atol=2e-6)
    assert "reference_log_probs" not in texts.under_reference(TEXTS, model, tokenizer, wordpiece)


def test_what_is_no_list_of_texts_and_no_tokenizer_is_refused(model, tokenizer) -> None:
    for wrong, message in (("one string", "put it in a list"), (["a text", None], "row 1: a text must be a string")):
        with pytest.raises(ValueError, match=message):
            texts.evidence(wrong, model, tokenizer)
        with pytest.raises(ValueError, match=message):
            texts.under_reference(wrong, model, tokenizer, tokenizer)
    with pytest.raises(ValueError, match=f"must be the tokenizer of the target model, found {type(model).__name__}"):
        texts.under_reference(TEXTS, model, tokenizer, model)


def test_scores_that_say_nothing_are_warned_of(model, tokenizer, caplog) -> None:
    same = texts.evidence(TEXTS, model, tokenizer) | texts.under_reference(TEXTS, model, tokenizer, tokenizer)
    scores.compute(same)
    assert "ratio compares a model with itself" in caplog.text
    assert "wbc and ez compare a model with itself" in caplog.text
    assert "copies" not in caplog.text
    caplog.clear()
    other = [row - 1 for row in same["reference_log_probs"]]
    repeated = {"reference_means": same["reference_means"] - 1, "reference_log_probs": other, "texts": ["a", "b", "b"]}
    scores.compute(same | repeated)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "1 of 3 texts are copies of another one (row 1 has one)"
    ]
    caplog.clear()
    checks.warn_of_shared(["a", "b", "c"], ["x", "b"])
    checks.warn_of_shared(["a"], ["b"])
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "1 of 3 members are non-members as well (the first: row 1)"
    ]
