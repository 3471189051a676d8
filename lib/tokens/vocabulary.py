"""What single ids spell, where each id stands in a text, and how a tokenizer spells a fragment inside a text."""

from collections.abc import Sequence
from itertools import pairwise

from transformers import PreTrainedTokenizerBase

from lib.tokens.tokenization import (
    REPLACEMENT_CHARACTER,
    decode,
    encode_all,
    special_ids,
    special_spellings,
    spells_any,
)

ANCHOR = "\n"  # what stands before a fragment: no tokenizer drops a fragment's leading space there


def fragments(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The text that each ordinary id adds inside a text, leading space included -> the id.

    Left out: special ids, ids that are not whole characters (U+FFFD), ids that add nothing. Of two ids that spell the
    same text, the lower one counts.
    """
    anchor = encode_all(tokenizer, ["a"])[0]
    head = decode(tokenizer, anchor)
    special = special_ids(tokenizer)
    found: dict[str, int] = {}
    for index in range(len(tokenizer)):
        text = "" if index in special else decode(tokenizer, [*anchor, index])
        if text.startswith(head) and len(text) > len(head) and REPLACEMENT_CHARACTER not in text:
            found.setdefault(text[len(head) :], index)
    return found


def spell(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """The ids of each fragment as it stands inside a text, not at its beginning; empty when it cannot stand alone, or
    spells a special token.

    A sentencepiece tokenizer puts a space before the beginning of a text, so each fragment is encoded behind an
    anchor, whose ids are then taken off. Fragments that merge with the anchor (line breaks) are encoded alone.
    """
    anchor = encode_all(tokenizer, [ANCHOR])[0]
    behind = encode_all(tokenizer, [ANCHOR + text for text in texts])
    alone = encode_all(tokenizer, texts)
    special = special_spellings(tokenizer)
    spelled = []
    for text, long, short in zip(texts, behind, alone):
        ids = long[len(anchor) :] if long[: len(anchor)] == anchor else short
        whole = decode(tokenizer, [*anchor, *ids]) == decode(tokenizer, anchor) + text
        spelled.append(tuple(ids) if whole and not spells_any(text, special) else ())
    return spelled


def spans(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[tuple[int, int] | None]:
    """Where each id stands in `decode(ids)`, in characters; None for an id that shares a character with another.

    Such an id is a part of a character (an emoji is several bytes): the text cannot be cut before or after it.
    """
    text = decode(tokenizer, ids)
    prefixes = [decode(tokenizer, ids[:end]) if end else "" for end in range(len(ids) + 1)]
    ends = [len(p) if text.startswith(p) and not p.endswith(REPLACEMENT_CHARACTER) else None for p in prefixes]
    return [
        (start, end) if start is not None and end is not None and start < end else None for start, end in pairwise(ends)
    ]
