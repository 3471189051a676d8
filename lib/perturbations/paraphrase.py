"""Fuzzy duplicates by paraphrase: the question to a chat model, and the rephrasings in its answers.

A model is asked for several numbered rephrasings in one answer (as published: 9), or for one at a time if it is too
small to count. Answers are parsed leniently: numbers may be missing, prose may surround them, rephrasings may be empty
or repeated. Usable ones are kept, and the model is asked again until there are enough.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError
from lib.canaries import canaries_file
from lib.perturbations.settings import Settings, Vary
from lib.perturbations.stored import in_turn

LEVEL = "rephrasings N"
NAME = "paraphrases"
PHRASE = "a paraphrase"
INPUTS = ("paraphrases",)

Request = tuple[int, int]  # (row of the canary, number of the attempt)
Ask = Callable[[Sequence[Request]], Sequence[str]]  # an answer to each

_MARK = r"[\s>#*_]*\(?(\d{1,3})[*_]*[.):][*_]*"
_ITEM = re.compile(rf"{_MARK}(?:\s+(.*)|)$")
_RULE = re.compile(rf"(?:^|(?<=\s))-{{3,}}[ \t]*(?=$|{_MARK})", re.MULTILINE)  # a line, or between two items
_AROUND = (("**", "**"), ("__", "__"), ('"', '"'), ("\u201c", "\u201d"), ("'", "'"), ("`", "`"), ("*", "*"))


@dataclass(frozen=True)
class Keys(Settings):
    """Paraphrases have no keys of their own; the stage `paraphrases` has those of the chat model."""


def check_inputs(keys: Keys, inputs: Collection[str]) -> None:
    """Raise UsageError without paraphrases."""
    if "paraphrases" not in inputs:
        raise UsageError("kind paraphrase needs the input paraphrases; give the result of the stage paraphrases")


def vary(keys: Keys, inputs: dict[str, Any], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    """The rephrasings of each canary in turn. Raises TesseraError for a canary that has none, or a file of others."""
    path = store.find(inputs["paraphrases"], places.PARAPHRASES)
    if hdf5.attributes(path)["canaries"] != canaries_file.ids_digest(tokens):
        raise TesseraError(f"{path}: made for other canaries than {inputs['canaries']}; make the paraphrases again")
    owners, rows = hdf5.read(path, "canary"), hdf5.read_ragged(path, "tokens")
    found = [[ids.tolist() for ids, owner in zip(rows, owners) if owner == row] for row in range(len(tokens))]
    if not all(found):
        none = [row for row, several in enumerate(found) if not several]
        raise TesseraError(f"{path}: no paraphrase of canaries {none}; raise attempts, or ask a larger model")
    return in_turn(found, keys.variations, "paraphrases")


@dataclass
class Found:
    """The rephrasings of one canary. answers: how many were asked for; whole: how many of these had all rephrasings."""

    rephrasings: list[str] = field(default_factory=list)
    answers: int = 0
    whole: int = 0

    def needed(self, count: int, per_answer: int, attempts: int) -> range:
        """The attempts that will be made whatever the answers: those that `count` rephrasings take at least."""
        lacking = -(-(count - len(self.rephrasings)) // per_answer)
        return range(self.answers, min(attempts, self.answers + lacking))

    def add(self, answer: str, count: int, per_answer: int, usable: Callable[[str], bool], original: str) -> None:
        """Keep what is new and usable in an answer, up to `count` rephrasings."""
        parsed = parse(answer, per_answer) if per_answer > 1 else first_text(answer)
        parsed = [text for text in parsed if usable(text)]
        self.answers += 1
        self.whole += len(distinct(parsed, original)) == per_answer
        self.rephrasings = distinct([*self.rephrasings, *parsed], original)[:count]


def question(text: str, count: int) -> str:
    """What a chat model is asked: for `count` rephrasings in one answer."""
    if count == 1:
        return f"Rephrase this text in other words, with the same meaning. Write only the new version.\n\n{text}"
    return (
        f"Rephrase the text below in {count} different ways. Keep its meaning, and its language (natural or code); "
        f"each version replaces the whole text. Write nothing but the {count} versions, numbered 1. to {count}., each "
        f"in a paragraph of its own.\n\nText:\n{text}"
    )


def messages(text: str, count: int, turns: str) -> list[dict[str, str]]:
    """What a chat model is told, turn by turn: {role, content}.

    turns: `user` asks in one turn (`question`); `system` gives the task in a system turn and the text, in quotes, in a
    turn of the user, as published (Mistral-7B-Instruct, Llama-3-8B-Instruct, GPT-4o).
    """
    if turns == "user":
        return [{"role": "user", "content": question(text, count)}]
    task = (
        f"Your task is to rephrase a given text in {count} ways. Each of them keeps the meaning and the language of "
        "the text, be it a natural language or code, and is worded as if it took the place of the whole text. "
        f"Number them 1. to {count}. and put '---' between them: '1. first --- 2. second --- ... --- {count}. last'."
    )
    asked = f"Please rephrase this text: '{text}'"
    return [{"role": "system", "content": task}, {"role": "user", "content": asked}]


def collect(
    ask: Ask, originals: Mapping[int, str], count: int, per_answer: int, attempts: int, usable: Callable[[str], bool]
) -> Iterator[tuple[int, Found]]:
    """Ask until each text has `count` distinct usable rephrasings, `attempts` times at most; each when it is done.

    originals: row -> text. All answers of a round are asked for at once, and none that might not be needed, so a text
    gets the same ones alone and beside others. An answer is whole when it has all `per_answer` rephrasings that it was
    asked for, apart from other answers.
    """
    waiting = {row: Found() for row in originals}
    while waiting:
        wanted = [(row, number) for row in waiting for number in waiting[row].needed(count, per_answer, attempts)]
        for (row, _), answer in zip(wanted, ask(wanted)):
            waiting[row].add(answer, count, per_answer, usable, originals[row])
        for row in [row for row, found in waiting.items() if not found.needed(count, per_answer, attempts)]:
            yield row, waiting.pop(row)


def parse(answer: str, count: int) -> list[str]:
    """The rephrasings numbered 1 to `count` in an answer, in its order, without numbers, quotes and bold marks.

    A rephrasing begins with a number larger than the one before (`1.`, `2)`, `**3.**`, `(4)`), and ends before the next
    number, a blank line or `---`; so prose before and after is left out, and so are numbers without text.
    """
    items: list[list[str]] = []
    last, inside = 0, False
    for line in _RULE.sub("\n\n", answer).splitlines():
        match = _ITEM.match(line)
        if match:
            inside = last < int(match[1]) <= count
            if inside:
                last = int(match[1])
                items.append([match[2] or ""])
        elif not line.strip():
            inside = inside and not "".join(items[-1]).strip()  # a number alone may have its text further down
        elif inside:
            items[-1].append(line)
    cleaned = [_clean("\n".join(lines)) for lines in items]
    return [text for text in cleaned if text]


def first_text(answer: str) -> list[str]:
    """The one rephrasing of an answer that was asked for one: its first paragraph, without an announcement (a paragraph
    or line that ends in a colon), number, quotes and bold marks; none where nothing is left."""
    for paragraph in re.split(r"\n\s*\n", answer.strip()):
        lines = paragraph.strip().splitlines()
        text = "\n".join(lines[1:] if lines and lines[0].rstrip(" *").endswith(":") else lines)
        match = _ITEM.match(text.partition("\n")[0])
        text = _clean(text[match.start(2) :] if match and match[2] else text)
        if text:
            return [text]
    return []


def distinct(texts: Sequence[str], original: str) -> list[str]:
    """The texts that differ from the original and from those before in more than case and spaces."""
    seen, kept = {_plain(original)}, []
    for text in texts:
        if _plain(text) not in seen:
            seen.add(_plain(text))
            kept.append(text)
    return kept


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _clean(text: str) -> str:
    text = text.strip()
    for begin, end in _AROUND:
        inner = text[len(begin) : len(text) - len(end)]
        if len(text) > len(begin + end) and text.startswith(begin) and text.endswith(end) and begin not in inner:
            return _clean(inner)
    return text
