"""Answers of a local chat model: its own chat template, and a key of its own for the draws of each answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.base.errors import TesseraError, UsageError
from lib.generation import continuations, sampling
from lib.generation.decoding import Decoding
from lib.models.limits import n_logits, positions
from lib.tokens.tokenization import decode, encode


@dataclass(frozen=True)
class Answering:
    """How answers are made. prompt: `chat` (the tokenizer's template) or `plain` (for a model without one); begin:
    the text that every answer begins with, given to the model as if it had written it."""

    max_new_tokens: int
    decoding: Decoding
    prompt: str = "chat"
    begin: str = ""


def answers(model: Any, tokenizer: Any, question: str, keys: NDArray[np.int64], how: Answering) -> list[str]:
    """One answer for each key, without the id that ends it.

    Raises UsageError for a tokenizer without chat template, TesseraError for a model with too few positions.
    """
    start = encode(tokenizer, prompt_text(tokenizer, question, how))
    longest = positions(model)
    if longest is not None and len(start) + how.max_new_tokens > longest:
        raise TesseraError(
            f"question and answer may have {len(start)} + {how.max_new_tokens} ids, but the model takes {longest}; "
            "lower max_new_tokens, or give another model"
        )
    ends = set(continuations.end_ids(model, tokenizer))
    never = [index for index in sampling.suppressed_ids(tokenizer, n_logits(model)) if index not in ends]
    made = sampling.sample(
        model, start, how.max_new_tokens, keys, how.decoding, suppress=never,
        enough=lambda ids: not ends.isdisjoint(ids),
    )  # fmt: skip
    return [how.begin + decode(tokenizer, _before(ids, ends)) for ids in made]


def prompt_text(tokenizer: Any, question: str, how: Answering) -> str:
    """What the model reads: special tokens spelled out, BOS included where the template has one."""
    if how.prompt == "plain":
        return f"{question}\n\n{how.begin}"
    if not tokenizer.chat_template:
        raise UsageError(
            "the model's tokenizer has no chat template; give an instruction-tuned model, or set prompt: plain"
        )
    messages = [{"role": "user", "content": question}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + how.begin


def _before(ids: list[int], ends: set[int]) -> list[int]:
    return ids[: next((place for place, index in enumerate(ids) if index in ends), len(ids))]
