"""Selects canaries: sequences of exactly `length` target ids that survive decoding and differ from one another."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from lib.base.errors import TesseraError
from lib.base.progress import Advance, unheard
from lib.tokens import occurrences
from lib.tokens.tokenization import (
    REPLACEMENT_CHARACTER,
    decode,
    encode,
    round_trips,
    special_ids,
    special_spellings,
    spells_any,
)

DISCARDED = "end_of_text"  # a text that the sampler throws away
REMEDIES = {
    DISCARDED: "lower sampled_tokens, or set end_of_text: never",
    "too_short": "raise sampled_tokens",
    "special_token": "look at the reference model: it writes out special tokens as text",
    "replacement_character": "lower temperature or set top_p: the reference model writes broken characters",
    "round_trip": "check that the target tokenizer decodes and encodes plain text to itself",
    "separator": "choose another separator (sentencepiece tokenizers want a space), or an empty one for no check",
    "overlap": "raise max_jaccard or max_draws, or ask for fewer canaries",
}


@dataclass(frozen=True)
class Rules:
    """Conditions on a canary: `length` ids; token-set Jaccard below `max_jaccard` to every other one; its ids unchanged
    between two `separator`s (not checked if empty)."""

    length: int = 100
    max_jaccard: float = 0.2
    separator: str = "\n"


@dataclass
class Selection:
    """Canaries kept so far, and why the others were not."""

    tokens: list[list[int]] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)
    rejections: dict[str, int] = field(
        default_factory=lambda: {cause: 0 for cause in REMEDIES if cause != DISCARDED}  # counted where it can occur
    )
    drawn: int = 0


def select(
    draw: Callable[[range], Sequence[str | None]],
    n: int,
    tokenizer: PreTrainedTokenizerBase,
    rules: Rules,
    *,
    excluded: Iterable[Sequence[int]] = (),
    max_draws: int,
    batch_size: int,
    remedies: Mapping[str, str] = REMEDIES,
    advance: Advance = unheard,
) -> Selection:
    """Keep the first `n` drawn texts that obey the rules, in the order of their index.

    draw: the texts of the indices asked for; text i must not depend on how the indices are batched. None is a text that
    was thrown away.
    excluded: sequences of target ids that no canary may resemble either. remedies: what to do about each cause of
    rejection. advance: called with how many were kept of each batch. `tokens` of the result is n rows of `length` ids,
    `draws` their indices.
    Raises TesseraError, with the rejections by cause, when `max_draws` texts do not hold `n` canaries.
    """
    selection, known = Selection(), [frozenset(map(int, ids)) for ids in excluded]
    while len(selection.tokens) < n:
        stop = min(max_draws, selection.drawn + _batch(selection, n, batch_size))
        if stop == selection.drawn:
            raise TesseraError(_exhausted(selection, n, remedies))
        before = len(selection.tokens)
        for text in draw(range(selection.drawn, stop)):
            if len(selection.tokens) < n:  # what the last batch holds beyond n is not looked at
                _offer(selection, text, tokenizer, rules, known)
        advance(len(selection.tokens) - before)
    return selection


def _batch(selection: Selection, n: int, batch_size: int) -> int:
    """As many draws as the acceptance so far suggests, but no tiny batches: a step costs little less for them."""
    acceptance = (len(selection.tokens) + 1) / (selection.drawn + 1)
    expected = math.ceil((n - len(selection.tokens)) / acceptance)
    return min(batch_size, max(expected, -(-batch_size // 4)))


def _offer(
    selection: Selection,
    text: str | None,
    tokenizer: PreTrainedTokenizerBase,
    rules: Rules,
    known: list[frozenset[int]],
) -> None:
    ids = [] if text is None else encode(tokenizer, text)[: rules.length]
    cause = DISCARDED if text is None else fault(ids, tokenizer, rules)
    cause = cause or ("overlap" if _near(ids, known, rules.max_jaccard) else None)
    if cause:
        selection.rejections[cause] = selection.rejections.get(cause, 0) + 1
    else:
        selection.tokens.append(ids)
        selection.draws.append(selection.drawn)
        known.append(frozenset(ids))
    selection.drawn += 1


def fault(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, rules: Rules) -> str | None:
    """The first rule that `ids` break on their own (a key of REMEDIES), or None."""
    if len(ids) < rules.length:
        return "too_short"
    text = decode(tokenizer, ids)
    if not special_ids(tokenizer).isdisjoint(ids) or spells_any(text, special_spellings(tokenizer)):
        return "special_token"
    if not round_trips(tokenizer, ids):  # the whole sequence: a character may span several ids
        return "replacement_character" if REPLACEMENT_CHARACTER in text else "round_trip"
    if REPLACEMENT_CHARACTER in text:
        return "replacement_character"
    if rules.separator and _merges(tokenizer, text, ids, rules.separator):
        return "separator"
    return None


def jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    """|a n b| / |a u b| of two sets of ids; 0 for two empty ones."""
    return len(a & b) / max(1, len(a | b))


def _merges(tokenizer: PreTrainedTokenizerBase, text: str, ids: Sequence[int], separator: str) -> bool:
    return occurrences.find(encode(tokenizer, separator + text + separator), ids).size == 0


def _near(ids: Sequence[int], known: list[frozenset[int]], max_jaccard: float) -> bool:
    tokens = frozenset(ids)
    return any(jaccard(tokens, other) >= max_jaccard for other in known)


def _exhausted(selection: Selection, n: int, remedies: Mapping[str, str]) -> str:
    counts = ", ".join(f"{cause} {count}" for cause, count in selection.rejections.items() if count)
    main = max(selection.rejections, key=selection.rejections.__getitem__)
    return (
        f"only {len(selection.tokens)} of {n} canaries in {selection.drawn} draws (max_draws); "
        f"rejected: {counts or 'none'}; " + (remedies[main] if counts else "raise max_draws")
    )
