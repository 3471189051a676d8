"""Injection: copies of each canary, or the canary and its fuzzy duplicates, put between the words of one book each.

python -m jobs inject --config inject.yaml --out DIR

    inputs: {books: DIR, canaries: canaries.h5, target_tokenizer: DIR, duplicates: duplicates.h5}
    copies: 10             # with duplicates: 1 original and 9 variations
    sequence_tokens: 2048  # the training context, for the number of copies that the cut leaves whole
    scatter_ngram: 0       # n: all copies but the first are cut into n-grams, each somewhere else in the document

Writes injected.h5: `text` (every document; canary i is in document i), for each canary `nominal_copies`,
`contiguous_copies` (their ids appear as one run in the tokenised document) and `effective_copies` (whole in one
training sequence, too), for each text that was put in `spans` (what to cut out to undo it, in characters),
`contiguous`, `whole`, and `copy` (of which copy it is a piece: 0 to copies - 1 unless copies are scattered). A
scattered copy is effective when every n-gram of it is whole; it is never contiguous.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError

VERSION = 2
INPUTS = ("books", "canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("duplicates",)
SLUG = ("copies", "seed")


@dataclass(frozen=True)
class Config:
    """`sequence_tokens` and `bos_policy` are those of the training; `separator` stands on both sides of each copy;
    `scatter_ngram`: the tokens of the pieces that copies are cut into (0: they stay whole)."""

    copies: int = 1
    seed: int = 0
    sequence_tokens: int = 2048
    bos_policy: Literal["document", "none"] = "document"
    separator: str = "\n"
    scatter_ngram: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no count; 0 copies leave every book as it is."""
        if min(self.copies, self.seed, self.scatter_ngram) < 0 or self.sequence_tokens < 1:
            raise ValueError(
                f"copies {self.copies}, seed {self.seed}, scatter_ngram {self.scatter_ngram}, "
                f"sequence_tokens {self.sequence_tokens}: at least 0, 0, 0 and 1 are wanted"
            )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Inject, check that it can be undone, count what reaches training."""
    from lib.models import loading

    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    books = hdf5.read_texts(store.find(inputs["books"], places.BOOKS), "books")
    texts, owner = _texts(config, inputs)
    if len(texts) > len(books):
        raise TesseraError(f"{inputs['books']}: {len(books)} books for {len(texts)} canaries; each needs its own")
    injected = [_inject(config, tokenizer, book, row, ids) for row, (book, ids) in enumerate(zip(books, texts))]
    counts = [_count(config, tokenizer, document, ids, owner) for document, ids in zip(injected, texts)]
    _write(out / places.INJECTED, config, injected, books[len(texts) :], counts, owner)


def _texts(config: Config, inputs: dict[str, Path]) -> tuple[list[list[list[int]]], np.ndarray]:
    """Target ids of everything that goes in, canary by canary, and of which copy each is a piece (for all alike)."""
    from lib.canaries import injection

    if not config.scatter_ngram:
        return _copies(config, inputs), np.arange(config.copies)
    if "duplicates" in inputs:
        raise UsageError("scatter_ngram cuts copies of the canary itself; leave out the input duplicates")
    canaries = hdf5.read(store.find(inputs["canaries"], places.CANARIES), "tokens")
    _, owner = injection.scatter(range(canaries.shape[1]), config.copies, config.scatter_ngram)
    return [injection.scatter(canary, config.copies, config.scatter_ngram)[0] for canary in canaries], owner


def _copies(config: Config, inputs: dict[str, Path]) -> list[list[list[int]]]:
    """Target ids of every copy, canary by canary: the canary first, then its variations or itself again."""
    canaries = hdf5.read(store.find(inputs["canaries"], places.CANARIES), "tokens").tolist()
    if "duplicates" not in inputs:
        return [[canary] * config.copies for canary in canaries]
    from lib.perturbations.variations import edit_distance

    path = store.find(inputs["duplicates"], places.DUPLICATES)
    variations: list[list[list[int]]] = [[] for _ in canaries]
    found = zip(hdf5.read(path, "canary"), hdf5.read_ragged(path, "tokens"), hdf5.read(path, "edit_distance"))
    for row, ids, distance in found:
        if row >= len(canaries) or edit_distance(canaries[row], ids) != distance:
            raise TesseraError(f"{path}: row {row}: no variation of that canary; name the canaries it was made from")
        variations[row].append(ids.tolist())
    fewest = min(map(len, variations), default=0)
    if fewest < config.copies - 1:
        raise TesseraError(f"{path}: {fewest} variations of a canary, {config.copies} copies need {config.copies - 1}")
    return [[canary, *varied][: config.copies] for canary, varied in zip(canaries, variations)]


def _inject(config: Config, tokenizer, book: str, row: int, copies: list[list[int]]):
    from lib.canaries import injection
    from lib.tokens.tokenization import decode_all

    slots = injection.choose_slots(book, len(copies), config.seed, row)
    document = injection.inject(book, decode_all(tokenizer, copies), slots, config.separator)
    if injection.remove(document.text, document.spans) != book:
        raise TesseraError(f"book {row}: taking the copies out does not give the book back; a bug, please report it")
    return document


def _count(config: Config, tokenizer, document, texts: list[list[int]], owner: np.ndarray) -> dict[str, np.ndarray]:
    """Per text: are its ids there, and does the cut into training sequences leave it whole? Per copy: both."""
    from lib.canaries import injection
    from lib.tokens.tokenization import bos_id, encode_with_offsets

    ids, offsets = encode_with_offsets(tokenizer, document.text)
    inner = document.spans + np.array([1, -1]) * len(config.separator)
    tokens = injection.token_spans(offsets, inner)
    contiguous = injection.contiguous(ids, texts, tokens)
    bos = bos_id(tokenizer) if config.bos_policy == "document" else None
    whole = injection.whole(tokens, config.sequence_tokens, bos)
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
    """Whether a flag holds for all pieces of each copy: bool, one a copy."""
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
