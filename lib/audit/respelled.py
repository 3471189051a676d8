"""A window in the tokens of another model: the same text, of which that model's tokenizer makes other tokens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut


def window(texts: AuditedTexts, number: int, start: int, cut: Cut) -> tuple[str, int]:
    """The text of a window, and the character at which its suffix begins."""
    of, end = texts.characters[number], start + cut.length
    first, border, last = of[start, 0], of[start + cut.prompt_tokens, 0], of[end - 1, 1]
    return texts.text[number][first:last], int(border - first)


def split(tokenizer: Any, text: str, border: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The ids of the prompt, those of the suffix, and the bytes (UTF-8) that the latter stand for.

    border: the character at which the suffix begins. A token that lies across it belongs to the prompt: its first
    characters were given. So a suffix may lose the rest of that token, and its likelihood is to be taken per byte. The
    first token is prompt in any case.
    """
    from lib.tokens.tokenization import encode_with_offsets

    ids, characters = encode_with_offsets(tokenizer, text)
    # a token of bytes inside a character begins where the character does
    first = max(1, int(np.searchsorted(characters[:, 0], border)))
    scored = text[characters[first, 0] :] if first < len(ids) else ""
    return ids[:first], ids[first:], len(scored.encode())


def suffix_bytes(texts: AuditedTexts, number: int, start: int, cut: Cut) -> int:
    """The bytes (UTF-8) of the suffix of a window."""
    text, border = window(texts, number, start, cut)
    return len(text[border:].encode())
