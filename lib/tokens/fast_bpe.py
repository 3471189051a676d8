"""Byte-level BPE by `tiktoken`, with the vocabulary and merges of any Hugging Face tokenizer of that kind.

Two ways of splitting are taken over: GPT-2's, scanned by `lib.tokens.pieces`, and a regular expression (as Llama 3's),
by tiktoken itself. Special strings are plain text, as for `lib.tokens.encoders.Original`.

Where ids would differ silently: the libraries know different versions of Unicode (17,000 letters), so GPT-2's
classes are read from the tokenizer's own library, and under another expression a text with characters that are
unassigned there goes to the original; tiktoken merges by the id of the result, so it works on ranks of merges here.
"""

import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tiktoken
from tokenizers import Regex, normalizers

from lib.tokens.pieces import BLANK, LETTER, NUMBER, POINTS, SEPARATOR, Encoded, PieceEncoder

Encode = Callable[[list[str]], Encoded]

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
SINGLE_DIGITS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++|\s+(?![^\s\p{N}])|\s"
PLAIN_BPE = {
    "type": ("BPE",),
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
}


class NotByteLevel(ValueError):
    """The tokenizer cannot be taken over; the message says why."""


def build(tokenizer: Any, original: Encode) -> Encode:
    """A function that encodes as `tokenizer` does, but faster. original: the tokenizer itself, for texts that need it.

    Raises NotByteLevel for a tokenizer that is not byte-level BPE, or splits or normalises in an unknown way.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise NotByteLevel("it has no tokenizer.json")
    backend = tokenizer.backend_tokenizer
    spec = json.loads(backend.to_str())
    pattern = _pattern(spec["pre_tokenizer"])
    ranks, ids = _vocabulary(spec["model"])
    _check_whole(spec, ranks, backend.model)
    encoding = tiktoken.Encoding("taken over", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    encode = _by_pieces(encoding, ids) if pattern == GPT2 else _by_expression(encoding, ids, original)
    return _with_added(encode, _added(spec), _normalizer(spec, backend))


def byte_characters() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies (GPT-2's) -> the byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}


@functools.cache
def classes() -> np.ndarray:
    """uint8, POINTS long: the class of every code point, as the library of `tokenizers` knows it."""
    found = np.zeros(POINTS, np.uint8)
    for kind, expression in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (BLANK, r"\s")):
        found[_matching(expression, POINTS)] = kind
    return found


@functools.cache
def unassigned() -> np.ndarray:
    """bool, one a code point: those to which the library's version of Unicode gives no class."""
    found = np.zeros(0x110000, bool)
    found[_matching(r"\p{Cn}", len(found))] = True
    return found


def _matching(expression: str, stop: int) -> np.ndarray:
    """The code points below `stop` that the library's regular expression matches (U+0000 is never reported)."""
    points = np.array([point for point in range(stop) if not 0xD800 <= point < 0xE000], "<u4")
    replaced = normalizers.Replace(Regex(expression), "\0").normalize_str(points.tobytes().decode("utf-32-le"))
    return points[np.frombuffer(replaced.encode("utf-32-le"), "<u4") != points]


def _pattern(pre_tokenizer: dict[str, Any] | None) -> str:
    steps = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer])
    *before, last = steps
    if not last or last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise NotByteLevel("its pre-tokenizer does not end in ByteLevel without a prefix space")
    if not before and last.get("use_regex", True):
        return GPT2
    if len(before) == 1 and last.get("use_regex", True) and before[0] == {"type": "Digits", "individual_digits": True}:
        return SINGLE_DIGITS
    if len(before) == 1 and not last.get("use_regex", True) and (expression := _split_expression(before[0])):
        return expression
    raise NotByteLevel(f"its pre-tokenizer is {', '.join(str(step.get('type')) for step in steps)}")


def _split_expression(step: dict[str, Any]) -> str | None:
    isolated = step.get("type") == "Split" and step.get("behavior") == "Isolated" and not step.get("invert")
    return step["pattern"].get("Regex") if isolated else None


def _vocabulary(model: dict[str, Any]) -> tuple[dict[bytes, int], np.ndarray]:
    """Every token's bytes -> the rank of its merge, single bytes first; and the id of each rank (uint32)."""
    for key, allowed in PLAIN_BPE.items():
        if model.get(key) not in allowed:
            raise NotByteLevel(f"{key} of its model is {model.get(key)!r}")
    byte_of = byte_characters()
    ranks = {bytes([byte]): rank for rank, byte in enumerate(byte_of.values())}
    spelled = list(byte_of)
    for merge in model["merges"]:
        token = "".join(merge.split(" ") if isinstance(merge, str) else merge)
        if not set(token) <= byte_of.keys():
            raise NotByteLevel(f"a merge gives {token!r}, which spells no bytes")
        spelled.append(token)
        rank = ranks.setdefault(bytes(map(byte_of.__getitem__, token)), len(spelled) - 1)
        if any(other != token for other in spelled[rank:]):
            raise NotByteLevel(f"merges that give {token!r} do not follow each other")
    missing = [token for token in spelled if token not in model["vocab"]]
    if missing:
        raise NotByteLevel(f"{missing[0]!r} has no id")
    return ranks, np.array([model["vocab"][token] for token in spelled], np.uint32)


def _check_whole(spec: dict[str, Any], ranks: dict[bytes, int], model: Any) -> None:
    """tiktoken takes a piece that is a token for that token at once; so must the original."""
    byte_of, vocab = byte_characters(), spec["model"]["vocab"]
    added = {token["content"] for token in spec["added_tokens"]}
    for token, index in vocab.items():
        merged = set(token) <= byte_of.keys() and bytes(map(byte_of.__getitem__, token)) in ranks
        if spec["model"].get("ignore_merges"):
            alike = merged or token in added
        else:
            alike = not merged or [found.id for found in model.tokenize(token)] == [index]
        if not alike:
            raise NotByteLevel(f"its merges do not give {token!r} from its bytes")


def _normalizer(spec: dict[str, Any], backend: Any) -> Callable[[str], str] | None:
    kind = (spec["normalizer"] or {}).get("type")
    if kind not in (None, "NFC"):
        raise NotByteLevel(f"its normalizer is {kind}")
    return backend.normalizer.normalize_str if kind else None


def _added(spec: dict[str, Any]) -> dict[str, int]:
    """Tokens that the original finds in a text before it splits it; special ones are plain text here."""
    added = [token for token in spec["added_tokens"] if not token["special"]]
    special = {character for token in spec["added_tokens"] if token["special"] for character in token["content"]}
    for token in added:
        odd = (
            token["single_word"] or token["lstrip"] or token["rstrip"] or token["normalized"] != added[0]["normalized"]
        )
        moved = spec["normalizer"] and not (token["normalized"] and token["content"].isascii())
        if odd or moved or special & set(token["content"]):
            raise NotByteLevel(f"its added token {token['content']!r} is matched in a special way")
    return {token["content"]: token["id"] for token in added}


def _by_pieces(encoding: tiktoken.Encoding, ids: np.ndarray) -> Encode:
    encoder = PieceEncoder(_speller(encoding, ids), classes())
    return lambda texts: encoder.encode([text.encode() for text in texts])


def _speller(encoding: tiktoken.Encoding, ids: np.ndarray) -> Callable[[Sequence[bytes]], Encoded]:
    """The ids of many pieces by one call of tiktoken: they are joined by a separator, at which it splits."""
    pattern = f"[^{SEPARATOR}]+|{SEPARATOR}"
    ranks = encoding._mergeable_ranks
    apart = tiktoken.Encoding("pieces apart", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    sizes, mark = _sizes(encoding, len(ids)), SEPARATOR.encode()

    def spell(pieces: Sequence[bytes]) -> Encoded:
        joined_pieces = mark.join(pieces)
        if joined_pieces.count(mark) != max(len(pieces) - 1, 0):  # a piece holds it
            return joined([ids[encoding._encode_single_piece(piece)] for piece in pieces])
        found = np.array(apart.encode_ordinary(joined_pieces.decode()), np.int64)
        return _without_marks(found, sizes[found], np.array([*map(len, pieces)], np.int64), len(mark), ids)

    return spell


def _without_marks(ranks: np.ndarray, sizes: np.ndarray, pieces: np.ndarray, mark: int, ids: np.ndarray) -> Encoded:
    """The ids of each of the joined pieces. sizes: bytes of each rank; pieces, mark: bytes of them."""
    ends = np.cumsum(pieces + mark)
    begins = np.cumsum(sizes) - sizes
    piece = np.searchsorted(ends, begins, "right")
    kept = begins < (ends - mark)[piece]
    return Encoded(ids[ranks[kept]], np.bincount(piece[kept], minlength=len(pieces)))


def _sizes(encoding: tiktoken.Encoding, n_ranks: int) -> np.ndarray:
    return np.array([len(encoding.decode_single_token_bytes(rank)) for rank in range(n_ranks)])


def _by_expression(encoding: tiktoken.Encoding, ids: np.ndarray, original: Encode) -> Encode:
    sizes = _sizes(encoding, len(ids))

    def one(text: str) -> np.ndarray:
        if text.isascii() or not unassigned()[np.frombuffer(text.encode("utf-32-le"), "<u4")].any():
            ranks = np.array(encoding.encode_ordinary(text), np.int64)
            if sizes[ranks].sum() == len(text.encode()):  # an expression need not cover every text
                return ids[ranks]
        return original([text]).ids

    def encode(texts: list[str]) -> Encoded:
        return joined([one(text) for text in texts])

    return encode


def _with_added(encode: Encode, added: dict[str, int], normalize: Callable[[str], str] | None) -> Encode:
    """`encode` behind the normaliser and the search for added tokens."""
    if not added and not normalize:
        return encode
    longest_first = sorted(added, key=len, reverse=True)
    cut = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")" if added else r"(?!)")

    def encode_all(texts: list[str]) -> Encoded:
        texts = [text if text.isascii() or not normalize else normalize(text) for text in texts]
        parts = [cut.split(text) for text in texts]  # text, added token, text, ..., text
        plain = encode([part for row in parts for part in row[::2]])
        between = iter(np.split(plain.ids, np.cumsum(plain.lengths)[:-1]))
        return joined([_interleaved(row, between, added) for row in parts])

    return encode_all


def _interleaved(parts: Sequence[str], between: Any, added: dict[str, int]) -> np.ndarray:
    rows = [next(between)]
    for token in parts[1::2]:
        rows += [np.array([added[token]], np.uint32), next(between)]
    return np.concatenate(rows)


def joined(rows: Sequence[Sequence[int] | np.ndarray]) -> Encoded:
    """Ids of several texts, one array each, as one."""
    lengths = np.array([len(row) for row in rows], np.int64)
    return Encoded(np.concatenate([np.zeros(0, np.uint32), *rows]).astype(np.uint32, copy=False), lengths)
