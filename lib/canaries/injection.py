"""Injects canaries into documents, undoes that, and checks which copies reach training in one piece.

A copy goes between two words, directly behind the first, with a separator on both sides: without the one behind
it, "in" + "to be" would train "into". The whitespace of the document stays where it was, behind the copy. The published
experiment puts it behind the space before a word, with nothing between copy and word; `edges` has that way as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.canaries.ngrams import split
from lib.tokens import occurrences
from lib.training.sequences import survives_cut

WORD_END = re.compile(r"\S(?=\s+\S)")


@dataclass(frozen=True)
class Edges:
    """What is put before and behind each copy, and whether a copy goes directly before a word (behind the space that
    the text is split at) or directly behind one."""

    before: str
    behind: str
    before_a_word: bool = False

    def inner(self, spans: np.ndarray) -> np.ndarray:
        """The spans of the copies alone: k x 2."""
        return spans + np.array([len(self.before), -len(self.behind)])


def edges(kind: str, separator: str) -> Edges:
    """`separator`: two of them; `space`: the document's space and one more; `glued`: nothing behind (as published).

    Raises ValueError for a separator that is not whitespace.
    """
    if kind == "separator" and not separator.isspace():  # "" is none either
        raise ValueError(f"separator is {separator!r}; it must be whitespace, so that words do not run together")
    between = {"separator": Edges(separator, separator), "space": Edges("", " ", True), "glued": Edges("", "", True)}
    return between[kind]


@dataclass(frozen=True)
class Injected:
    """A document with copies. spans: copies x 2 int64, where each copy and what was put around it stand in `text`
    (characters, half open), in the order in which the copies were given."""

    text: str
    spans: np.ndarray


def slots(text: str, before_a_word: bool = False) -> np.ndarray:
    """Every place between two words: int64 character positions, ascending, each directly behind a word.

    before_a_word: the beginnings of the pieces of `text.split(" ")` instead, the first one included (as published).
    """
    if before_a_word:
        return np.array([0, *(match.end() for match in re.finditer(" ", text))], dtype=np.int64)
    return np.array([match.end() for match in WORD_END.finditer(text)], dtype=np.int64)


def choose_slots(
    text: str, copies: int, seed: int, document: int, *, before_a_word: bool = False, nested: bool = True
) -> np.ndarray:
    """Where `copies` copies go: int64 character positions of `text`, the first of one permutation of its `slots`.

    The permutation depends on (seed, document) alone. It is random, so the order of the copies over the document
    is random too: the first copy (the original) may stand anywhere among the others, and one copy more moves none.
    Without `nested` every number of copies has a permutation of its own. Raises TesseraError naming the document when
    it has too few slots.
    """
    places = slots(text, before_a_word)
    if not 0 <= copies <= len(places):
        raise TesseraError(
            f"document {document}: {len(places)} places between two words for {copies} copies, or pieces of them; "
            "take longer documents, fewer copies or longer pieces"
        )
    stream = generator(seed, "injection slots", document, *([] if nested else [copies]))
    return stream.permutation(places)[:copies]


def scatter(canary: Sequence[int], copies: int, ngram: int) -> tuple[list[list[int]], np.ndarray]:
    """The canary once whole, and `copies - 1` times in n-grams, each to stand somewhere of its own.

    Returns the ids of every piece, and of which copy each is one: int64, 0 for the whole canary. One copy more adds
    pieces at the end, so that it moves none. Raises UsageError for an n-gram as long as the canary, or below 1.
    """
    ids, pieces = list(map(int, canary)), split(canary, ngram)
    owner = np.concatenate([np.zeros(min(copies, 1)), np.repeat(np.arange(1, max(copies, 1)), len(pieces))])
    return [ids] * min(copies, 1) + pieces * (copies - 1), owner.astype(np.int64)


def inject(text: str, copies: Sequence[str], places: np.ndarray, around: Edges) -> Injected:
    """Put each copy, with its edges `around` it, at its place (distinct character positions of `text`)."""
    spans = np.zeros((len(copies), 2), dtype=np.int64)
    parts, done, length = [], 0, 0
    for copy in np.argsort(places):
        inserted = around.before + copies[copy] + around.behind
        parts += [text[done : places[copy]], inserted]
        length += places[copy] - done + len(inserted)
        spans[copy] = length - len(inserted), length
        done = places[copy]
    return Injected("".join([*parts, text[done:]]), spans)


def remove(text: str, spans: np.ndarray) -> str:
    """The document that `inject` was given: `text` without the spans."""
    ordered = spans[np.argsort(spans[:, 0])]
    begins = [0, *ordered[:, 1]]
    ends = [*ordered[:, 0], len(text)]
    return "".join(text[begin:end] for begin, end in zip(begins, ends))


def token_spans(offsets: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The tokens that share a character with each span: k x 2 int64, first and one behind the last.

    offsets: T x 2, the characters of each token; spans: k x 2, characters.
    """
    first = np.searchsorted(offsets[:, 1], spans[:, 0], side="right")
    behind = np.searchsorted(offsets[:, 0], spans[:, 1], side="left")
    return np.stack([first, behind], axis=1).astype(np.int64)


def contiguous(document: np.ndarray, copies: Sequence[Sequence[int]], tokens: np.ndarray, edge: int = 0) -> np.ndarray:
    """Whether each copy's ids stand as one run of the document, in their own place: bool, k.

    document: its ids; tokens: k x 2, the token span of each copy; edge: ids at either end of a copy that may differ,
    because they run together with what stands beside them (a copy with no others is looked for whole).
    """
    looked_for = [ids[edge : len(ids) - edge] or ids for ids in copies]
    # one token more on each side: some tokenizers count a bare space at the edge as no character
    found = [occurrences.find(document[max(0, a - 1) : b + 1], ids) for ids, (a, b) in zip(looked_for, tokens)]
    return np.array([len(starts) > 0 for starts in found], dtype=bool)


def whole(tokens: np.ndarray, sequence_tokens: int, bos: int | None) -> np.ndarray:
    """Whether each copy stays in one piece when its document is cut into training sequences: bool, k.

    A cut every T tokens hits a copy of l tokens with probability (l - 1) / T: 4.8 % for 100 in 2,048.
    tokens: k x 2, token span of each copy in its document, without BOS.
    """
    kept = [survives_cut(np.array([a]), int(b - a), sequence_tokens, bos)[0] for a, b in tokens]
    return np.array(kept, dtype=bool)
