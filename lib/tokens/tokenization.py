"""Converts text to token ids and back, without the special tokens that tokenizers add or skip by themselves.

Text is text: where a document spells a special token (`<|endoftext|>`), it becomes the ids of these characters, never
the special id. So it is in all stages, because all encode here; only what is written for a model to obey
(`encode_markup`: a chat template) is read otherwise.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from transformers import PreTrainedTokenizerBase

from lib.base.errors import TesseraError
from lib.base.ragged import Ids

BosPolicy = Literal["document", "tokenizer", "none"]
REPLACEMENT_CHARACTER = "\ufffd"  # decoded from bytes that are not a whole character
# verbose=False: documents are longer than any context on purpose, no warning is due
PLAIN: dict[str, Any] = {
    "add_special_tokens": False, "split_special_tokens": True, "return_attention_mask": False, "verbose": False,
}  # fmt: skip


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of `text` as plain text, with no special token added."""
    return encode_all(tokenizer, [text])[0]


def encode_all(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """`encode` for many texts at once. Raises ValueError for one string in place of a list."""
    if isinstance(texts, str):
        raise ValueError("texts is one string; put it in a list: [text]")
    if not len(texts):
        return []
    if tokenizer.is_fast:
        return tokenizer(list(texts), **PLAIN)["input_ids"]
    # a slow one that is told to leave special tokens leaves all added ones: so only where a text spells a special one
    special = special_spellings(tokenizer)
    return [
        tokenizer(text, **{**PLAIN, "split_special_tokens": spells_any(text, special)})["input_ids"] for text in texts
    ]


def encode_markup(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text in which special tokens are spelled out and meant, as a chat template gives it."""
    return tokenizer(text, **{**PLAIN, "split_special_tokens": False})["input_ids"]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Ids) -> str:
    """The text of `ids`, verbatim: special tokens spelled out, no space tidied away."""
    return tokenizer.decode(list(map(int, ids)), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def decode_all(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Ids]) -> list[str]:
    """`decode` for many sequences."""
    return [decode(tokenizer, row) for row in rows]


def round_trips(tokenizer: PreTrainedTokenizerBase, ids: Ids) -> bool:
    """Whether `encode(decode(ids)) == ids` for the whole sequence; never with a special id in it."""
    return encode(tokenizer, decode(tokenizer, ids)) == list(map(int, ids))


def same_ids(a: PreTrainedTokenizerBase, b: PreTrainedTokenizerBase) -> bool:
    """Whether an id stands for the same token in both: ids of one are ids of the other."""
    return a.get_vocab() == b.get_vocab()


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every id that stands for no text: end of text, padding, mask, chat marks, added control tokens."""
    added = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added.union(tokenizer.all_special_ids))


def special_spellings(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """How the special tokens are spelled: a text with one of these is read otherwise by other programs."""
    return tuple(token for token in tokenizer.convert_ids_to_tokens(sorted(special_ids(tokenizer))) if token)


def spells_any(text: str, spellings: Sequence[str]) -> bool:
    """Whether one of the spellings stands in a text."""
    return any(spelling in text for spelling in spellings)


def bos_id(tokenizer: PreTrainedTokenizerBase, policy: BosPolicy = "document") -> int | None:
    """The id that opens every document in training or scoring, or None.

    policy: `document` is the tokenizer's BOS, where it has one; `tokenizer` is that BOS if the tokenizer itself begins
    a text with it (those of Llama and Gemma do, that of GPT-Neo does not); `none` is None.
    """
    bos = tokenizer.bos_token_id
    if policy == "tokenizer":
        return bos if bos is not None and tokenizer("a")["input_ids"][0] == bos else None
    return bos if policy == "document" else None


def encode_with_offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[np.ndarray, np.ndarray]:
    """The ids of `text` (int64, T) and the characters each stands for (int64, T x 2, half open).

    Raises TesseraError for a tokenizer without offsets (a slow one).
    """
    if not tokenizer.is_fast:
        raise TesseraError(f"{tokenizer.name_or_path}: a slow tokenizer has no offsets; save it as tokenizer.json")
    found = tokenizer(text, **PLAIN, return_offsets_mapping=True)
    offsets = np.array(found["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    return np.array(found["input_ids"], dtype=np.int64), offsets
