"""Answers of a local chat model: its own chat template, and a random stream for each answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.base.errors import TesseraError, UsageError
from lib.generation import continuations, sampling
from lib.models.limits import n_logits, positions
from lib.tokens.tokenization import decode, encode


@dataclass(frozen=True)
class Answering:
    """How answers are sampled. prompt: `chat` (the tokenizer's template) or `plain` (for a model without one); begin:
    the text that every answer begins with, given to the model as if it had written it."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    prompt: str = "chat"
    begin: str = ""


def answers(
    model: Any, tokenizer: Any, question: str, streams: Sequence[np.random.Generator], how: Answering
) -> list[str]:
    """One answer for each random stream, without the id that ends it.

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
        model, start, how.max_new_tokens, streams, temperature=how.temperature, top_p=how.top_p, suppress=never,
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
