"""Inject copies of each canary, or the canary and its fuzzy duplicates, into one book each.

    python -m jobs inject --config FILE --out DIR

FILE holds:

    inputs: {books: DIR, canaries: canaries.h5, target_tokenizer: DIR, duplicates: duplicates.h5}
    copies: 10             # with duplicates: 1 original and 9 variations; without: 10 exact copies
    sequence_tokens: 2048

Copies go between the words of the book. Canary i is in document i. Where `edges` is space or glued, the first and the
last token of a copy may run together with what stands beside it; the counts below are then of the tokens between.

Result injected.h5: `text` (every document); for each canary `nominal_copies`, `contiguous_copies` (their ids are one
run in the tokenized document) and `effective_copies` (also whole in one training sequence); for each text that was put
in `spans` (characters to cut out to undo it), `contiguous`, `whole`; `copy`, the copy that each text belongs to (0, 1,
... in order; repeated where copies are scattered in pieces); attributes `separator`, `sequence_tokens`. A scattered
copy is effective if each of its n-grams is whole; it is never contiguous.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, at_least
from lib.base.errors import TesseraError, UsageError
from lib.canaries import canaries_file, injection
from lib.costs.facts import Facts, Given
from lib.costs.work import TEXT_BYTES, Work
from lib.perturbations.distances import levenshtein

VERSION = 2
INPUTS = ("books", "canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("duplicates",)
SLUG = ("copies", "seed")


@dataclass(frozen=True)
class Config:
    """How many copies, and what the training will do with them.

    copies: copies of each canary, the original included; 0 leaves every book as it is
    seed: the seed of the places in the books
    sequence_tokens: `context` of the training (stage finetune), to count the copies that its cut leaves whole
    bos_policy: as in the training (stage finetune): whether the tokenizer's BOS opens each document
    separator: what stands on both sides of each copy, where `edges` is separator
    edges: `separator` puts a copy between two separators, directly behind a word; `space` puts it between two spaces;
        `glued` leaves no space behind it, so that its last word runs into the next one (as published)
    order: `random` lets the original stand anywhere among its variations; `original_first` puts it first in the
        document and the variations behind it in their order (as published)
    slots: `nested` adds copies to the places of fewer copies; `anew` draws other places for each number of copies (as
        published)
    scatter_ngram: n cuts all copies but the first into n-grams, each put at a place of its own; 0 leaves copies whole
    """

    copies: int = 1
    seed: int = 0
    sequence_tokens: int = 2048
    bos_policy: Literal["document", "tokenizer", "none"] = "document"
    separator: str = "\n"
    scatter_ngram: int = 0
    edges: Literal["separator", "space", "glued"] = added("separator")
    order: Literal["random", "original_first"] = added("random")
    slots: Literal["nested", "anew"] = added("nested")

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small, and for a separator that is not whitespace."""
        at_least(0, copies=self.copies, seed=self.seed, scatter_ngram=self.scatter_ngram)
        at_least(1, sequence_tokens=self.sequence_tokens)
        if self.scatter_ngram and self.order == "original_first":
            raise ValueError(
                "order: original_first would leave the pieces of scatter_ngram in their order; take random"
            )
        self.around()

    def around(self) -> injection.Edges:
        """What stands around each copy. Raises ValueError for a separator that is not whitespace."""
        return injection.edges(self.edges, self.separator)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for duplicates that would not be read."""
    if config.scatter_ngram and "duplicates" in inputs:
        raise UsageError("scatter_ngram cuts copies of the canary itself; leave out the input duplicates")


def check(config: Config, given: Given) -> None:
    """Raise ValueError for fewer books than canaries, canaries longer than a training sequence, and fewer variations
    than copies."""
    canaries, books = given["canaries"].known("texts"), given["books"].known("texts")
    length = given["canaries"].known("tokens_a_text")
    if length > config.sequence_tokens:
        raise ValueError(
            f"sequence_tokens is {config.sequence_tokens}, less than the {length:g} tokens of a canary: training would "
            "see no copy whole; take shorter canaries, or longer sequences"
        )
    if canaries > books:
        raise ValueError(
            f"there are {books} books for {canaries} canaries, and each needs one; lower their number, or raise n_books"
        )
    made = given["duplicates"].known("texts") // canaries if "duplicates" in given else math.inf
    if made < config.copies - 1:
        raise ValueError(f"copies is {config.copies}; that takes {config.copies - 1} variations, but there are {made}")


def foreseen(config: Config, inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """That more variations are made than are put in; "" if not. inputs: the configuration of each input."""
    made, used = inputs.get("duplicates", {}).get("variations", 0), max(0, config.copies - 1)
    if made <= used:
        return ""
    return f"{made} variations of a canary are made, and {config.copies} copies take {used} of them: the rest is unused"


def facts(config: Config, given: Given) -> Facts:
    """The books, longer by the copies of the canaries."""
    books, canaries = given["books"], given["canaries"]
    tokens = books.tokens + config.copies * canaries.tokens
    return Facts(texts=books.texts, tokens_a_text=tokens / books.known("texts"))


def work(config: Config, given: Given) -> Work:
    """It stores the books anew."""
    return Work(results=TEXT_BYTES * facts(config, given).tokens)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Inject, check that it can be undone, count what reaches training."""
    from lib.models import loading

    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    books = hdf5.read_texts(store.find(inputs["books"], places.BOOKS), "books")
    canaries = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    texts, owner = _texts(config, inputs, canaries.tolist())
    if len(texts) > len(books):
        raise TesseraError(f"{inputs['books']}: {len(books)} books for {len(texts)} canaries; each needs one (n_books)")
    injected = [_inject(config, tokenizer, book, row, ids) for row, (book, ids) in enumerate(zip(books, texts))]
    counts = [_count(config, tokenizer, document, ids, owner) for document, ids in zip(injected, texts)]
    _write(out / places.INJECTED, config, injected, books[len(texts) :], counts, owner)


def _texts(
    config: Config, inputs: dict[str, Path], canaries: list[list[int]]
) -> tuple[list[list[list[int]]], np.ndarray]:
    """The ids of everything that goes in, canary by canary, and of which copy each is a piece (the same for all)."""
    if not config.scatter_ngram:
        return _copies(config, inputs, canaries), np.arange(config.copies)
    scattered = [injection.scatter(canary, config.copies, config.scatter_ngram) for canary in canaries]
    return [pieces for pieces, _ in scattered], scattered[0][1]


def _copies(config: Config, inputs: dict[str, Path], canaries: list[list[int]]) -> list[list[list[int]]]:
    """The ids of every copy, canary by canary: the canary first, then its variations or itself again."""
    if "duplicates" not in inputs:
        return [[canary] * config.copies for canary in canaries]
    path = store.find(inputs["duplicates"], places.DUPLICATES)
    variations: list[list[list[int]]] = [[] for _ in canaries]
    found = zip(hdf5.read(path, "canary"), hdf5.read_ragged(path, "tokens"), hdf5.read(path, "edit_distance"))
    for row, (owner, ids, distance) in enumerate(found):
        if owner >= len(canaries) or levenshtein(canaries[owner], ids.tolist()) != distance:
            raise TesseraError(
                f"{path}: row {row} is not a variation of canary {owner}; give the canaries that it was made from"
            )
        variations[owner].append(ids.tolist())
    fewest = min(map(len, variations), default=0)
    if fewest < config.copies - 1:
        raise TesseraError(
            f"{path}: {fewest} variations of a canary, but {config.copies} copies need {config.copies - 1}; make more "
            "variations, or lower copies"
        )
    return [[canary, *varied][: config.copies] for canary, varied in zip(canaries, variations)]


def _inject(config: Config, tokenizer: Any, book: str, row: int, copies: list[list[int]]) -> injection.Injected:
    from lib.tokens.tokenization import decode_all

    around = config.around()
    slots = injection.choose_slots(
        book, len(copies), config.seed, row, before_a_word=around.before_a_word, nested=config.slots == "nested"
    )
    if config.order == "original_first":
        slots.sort()  # and so each copy behind the one before it
    document = injection.inject(book, decode_all(tokenizer, copies), slots, around)
    if injection.remove(document.text, document.spans) != book:
        raise TesseraError(
            f"book {row}: removing the copies does not restore the book; this is a bug, please report it"
        )
    return document


def _count(
    config: Config, tokenizer: Any, document: injection.Injected, texts: list[list[int]], owner: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each text: are its ids there, and does the cut into training sequences leave it whole? Of each copy: both."""
    from lib.tokens.tokenization import bos_id, encode_with_offsets

    ids, offsets = encode_with_offsets(tokenizer, document.text)
    around = config.around()
    tokens = injection.token_spans(offsets, around.inner(document.spans))
    contiguous = injection.contiguous(ids, texts, tokens, edge=int(around.before_a_word))
    whole = injection.whole(tokens, config.sequence_tokens, bos_id(tokenizer, config.bos_policy))
    varied = np.array([text != texts[0] for text in texts], dtype=bool)  # is trained as the ids that its text gives
    copies = np.arange(config.copies)
    pieces = np.bincount(owner, minlength=config.copies)
    return {
        "contiguous": contiguous,
        "whole": whole,
        "contiguous_copies": _all_of(contiguous, owner, copies) & (pieces == 1),
        "effective_copies": _all_of(whole & (contiguous | varied), owner, copies),
    }


def _all_of(flags: np.ndarray, owner: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Whether a flag holds for all pieces of each copy: bool, one per copy."""
    return ~np.isin(copies, owner[~flags])


def _write(
    path: Path, config: Config, injected: list, untouched: list[str], counts: list[dict], owner: np.ndarray
) -> None:
    def per_text(name: str) -> np.ndarray:
        return np.array([count[name] for count in counts], dtype=bool).reshape(len(injected), len(owner))

    with hdf5.create(path) as file:
        hdf5.write_texts(file, "text", [document.text for document in injected] + untouched)
        hdf5.write(file, "spans", np.array([document.spans for document in injected], dtype="<i8"))
        hdf5.write(file, "contiguous", per_text("contiguous"))
        hdf5.write(file, "whole", per_text("whole"))
        hdf5.write(file, "copy", owner.astype("<u4"))
        hdf5.write(file, "nominal_copies", np.full(len(injected), config.copies, dtype="<u4"))
        for name in ("contiguous_copies", "effective_copies"):
            hdf5.write(file, name, np.array([count[name].sum() for count in counts], dtype="<u4"))
        file.attrs.update(separator=config.separator, sequence_tokens=config.sequence_tokens)
