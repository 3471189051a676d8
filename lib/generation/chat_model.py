"""Answers of a local chat model: its own chat template, and a key of its own for the draws of each answer."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from lib.base.errors import TesseraError, UsageError
from lib.generation import continuations, sampling
from lib.generation.decoding import Decoding
from lib.models.limits import n_logits, positions
from lib.tokens.tokenization import decode, encode_markup

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answering:
    """How answers are made. prompt: `chat` (the tokenizer's template) or `plain` (for a model without one); begin:
    the text that every answer begins with, given to the model as if it had written it."""

    max_new_tokens: int
    decoding: Decoding
    prompt: str = "chat"
    begin: str = ""


Messages = Sequence[Mapping[str, str]]  # {role, content}


def answers(model: Any, tokenizer: Any, messages: Messages, keys: NDArray[np.int64], how: Answering) -> list[str]:
    """One answer to the messages for each key, without the id that ends it.

    Raises UsageError for a tokenizer without chat template, TesseraError for a model with too few positions.
    """
    start = encode_markup(tokenizer, prompt_text(tokenizer, messages, how))
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


def prompt_text(tokenizer: Any, messages: Messages, how: Answering) -> str:
    """What the model reads: special tokens spelled out, BOS included where the template has one.

    Where the template refuses a system turn (that of Mistral-7B-Instruct-v0.2 does), its text opens the user's turn.
    """
    if how.prompt == "plain":
        return f"{_joined(messages)}\n\n{how.begin}"
    if not tokenizer.chat_template:
        raise UsageError(
            "the model's tokenizer has no chat template; give an instruction-tuned model, or set prompt: plain"
        )
    try:
        return _with_template(tokenizer, messages) + how.begin
    except jinja2.TemplateError as error:
        if len(messages) == 1:
            raise TesseraError(f"the chat template of the model cannot be used: {error}; give another model") from error
        _say_joined(str(error))
        return prompt_text(tokenizer, [{"role": "user", "content": _joined(messages)}], how)


@functools.cache  # once, not for every answer
def _say_joined(reason: str) -> None:
    logger.warning("the chat template takes no system turn (%s): its text opens the turn of the user", reason)


def _with_template(tokenizer: Any, messages: Messages) -> str:
    return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


def _joined(messages: Messages) -> str:
    return "\n\n".join(message["content"] for message in messages)


def _before(ids: list[int], ends: set[int]) -> list[int]:
    return ids[: next((place for place, index in enumerate(ids) if index in ends), len(ids))]
