"""Answers of a local chat model: its own chat template, and a key of its own for the draws of each answer."""

import functools
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from lib.base.errors import TesseraError, UsageError
from lib.generation import continuations, rows, sampling
from lib.generation.decoding import Decoding
from lib.generation.rows import BatchSize
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


def answers(
    model: Any,
    tokenizer: Any,
    questions: Sequence[Messages],
    keys: NDArray[np.int64],
    how: Answering,
    batch_size: BatchSize = "auto",
) -> list[str]:
    """One answer to each question, by a key of its own, without the id that ends it.

    batch_size: how many are written at once, at most (`auto`: one on a CPU); only questions of as many ids are, so that
    nothing is padded, and an answer does not depend on those beside it. Raises UsageError for a tokenizer without chat
    template, TesseraError for a model with too few positions.
    """
    starts = [encode_markup(tokenizer, prompt_text(tokenizer, messages, how)) for messages in questions]
    longest = max(map(len, starts), default=0)
    _check_room(model, longest, how)
    together = rows.together(model, batch_size, len(starts), longest + how.max_new_tokens, on_cpu=1)
    ends = set(continuations.end_ids(model, tokenizer))
    never = [index for index in sampling.suppressed_ids(tokenizer, n_logits(model)) if index not in ends]
    made: dict[int, list[int]] = {}
    for some in _alike(starts, together):
        given = np.array([starts[row] for row in some], dtype=np.int64)
        found = sampling.sample(
            model,
            given,
            how.max_new_tokens,
            keys[some],
            how.decoding,
            suppress=never,
            enough=lambda ids: not ends.isdisjoint(ids),
        )
        made.update(zip(some, found))
    return [how.begin + decode(tokenizer, _before(made[row], ends)) for row in range(len(starts))]


def _alike(starts: Sequence[Sequence[int]], together: int) -> Iterator[list[int]]:
    """Rows of equal length, up to so many together."""
    order = sorted(range(len(starts)), key=lambda row: (len(starts[row]), row))
    for _, group in itertools.groupby(order, key=lambda row: len(starts[row])):
        alike = list(group)
        yield from (alike[low : low + together] for low in range(0, len(alike), together))


def _check_room(model: Any, start: int, how: Answering) -> None:
    longest = positions(model)
    if longest is not None and start + how.max_new_tokens > longest:
        raise TesseraError(
            f"question and answer may have {start} + {how.max_new_tokens} ids, but the model takes {longest}; "
            "lower max_new_tokens, or give another model"
        )


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
