"""The evidence of texts that are at hand, under models that are loaded: membership scores without a sweep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.models import likelihoods
from lib.tokens.tokenization import BosPolicy, encode_all, same_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def evidence(
    texts: Sequence[str],
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    batch_size: int = 32,
    bos_policy: BosPolicy = "document",
) -> dict[str, Any]:
    """What `lib.attacks.scores.compute` needs for loss, min-k, min-k++, zlib and lowercase: rows of log-probabilities
    (float32) of every text, and the texts.

    Texts may have any lengths, and no score depends on the others. bos_policy: see `lib.tokens.tokenization.bos_id`.
    Raises ValueError for what is no list of texts (one string, a table) or is empty, and naming the row for what is no
    string, a text without a scored token, or one longer than the model has learned positions for. A model without such
    a table (GPT-NeoX, Llama, Mamba) reads longer texts than it was trained for; the log says so.
    """
    _check(texts)
    first = likelihoods.opening(tokenizer, policy=bos_policy)
    ids = [np.asarray(row, dtype=np.int64) for row in encode_all(tokenizer, texts)]
    rows = likelihoods.under_target(model, ids, first, batch_size, padding=None)
    lowered = likelihoods.lowercased(model, tokenizer, texts, first, batch_size)
    return {**rows, "lower_log_probs": lowered["lower_log_probs"], "texts": list(texts)}


def under_reference(
    texts: Sequence[str],
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    target: "PreTrainedTokenizerBase",
    batch_size: int = 32,
    bos_policy: BosPolicy = "document",
) -> dict[str, Any]:
    """What `ratio` needs besides `evidence`; and, where the reference has the tokenizer of the `target`, what WBC and
    EZ need. target: the tokenizer of the target. Raises ValueError as `evidence` does, and for a `target` that is no
    tokenizer."""
    _check(texts)
    if not callable(getattr(target, "get_vocab", None)):
        raise ValueError(f"target must be the tokenizer of the target model, found {type(target).__name__}")
    first = likelihoods.opening(tokenizer, policy=bos_policy)
    sums, counts, _ = likelihoods.under_reference(model, tokenizer, texts, batch_size, first)
    found: dict[str, Any] = {"reference_means": sums / counts}
    if same_ids(tokenizer, target):
        ids = [np.asarray(row, dtype=np.int64) for row in encode_all(tokenizer, texts)]
        found["reference_log_probs"] = likelihoods.of_ids(model, ids, first, batch_size)
    return found


def _check(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise ValueError("texts is one string; put it in a list: [text]")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # going through one gives its keys
        raise ValueError(f"texts is a {type(texts).__name__}; give the list of its texts, such as list(table['text'])")
    if not len(texts):
        raise ValueError("texts is empty; give at least one")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"row {row}: a text must be a string, found {text!r}")
