"""Draw the documents of the fine-tuning corpus: books to inject into, and a held-out set.

    python -m jobs books --config FILE --out DIR

FILE holds:

    inputs: {text: DIR, tokenizer: DIR}    # text: for source text; tokenizer (the target's): to count tokens
    source: text
    n_books: 100
    n_held_out: 20

The published experiment has 100 books of its own: `titles: sweeps/published/books.csv`.

Result books.h5: texts `books` and `held_out`, with their names in `books_names`, `held_out_names`.
"""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, at_least
from lib.base.errors import TesseraError, UsageError
from lib.base.seeds import generator
from lib.canaries import books
from lib.costs.facts import Facts, Given
from lib.texts import data_sets

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS: tuple[str, ...] = ()
OPTIONAL_INPUTS = ("text", "tokenizer")
SLUG = ("source", "n_books", "seed")


@dataclass(frozen=True)
class Config:
    """Where documents come from, and which of them are kept.

    source: `text` takes the books of a text artifact; `hub` takes a data set of the hub, or a folder in its layout
    n_books: documents to inject into; with `titles`, that many of them or fewer
    titles: a CSV file with a column `book_title`; the documents to inject into are those of its titles, in its order
        (of several documents with one title the first); documents of other titles are held out. An absolute path, or
        one from the root of the project, for a sweep below sweeps/
    titles_sha256: the beginning of the file's SHA-256; a sweep fills it in when it plans, so that other titles are a
        new task; leave it out by hand
    n_held_out: documents that are held out; they are drawn first, so `n_books` does not change them
    min_tokens: documents with fewer tokens of the target are left out
    first_tokens: tokens of the target that are kept of each document; 0 keeps all
    seed: the seed of the order in which documents are drawn
    repo: for source hub, the data set `owner/name`, which `fetch` brings into the cache of this machine, or a local
        folder
    revision: the commit of `repo`; a branch means what the cache holds of it
    split: the split of the data set
    text_column: the column that holds the text
    name_column: the column that holds the title
    data_files: patterns of the files of `repo`; empty takes those whose path has the split's name
    fingerprint: 16 hex digits of the files of a local `repo`; a sweep fills it in when it plans, so that other files
        are a new task; leave it out by hand
    """

    source: Literal["hub", "text"]
    n_books: int = 100
    n_held_out: int = 20
    min_tokens: int = 0
    first_tokens: int = 0
    seed: int = 0
    repo: str = "imperial-cpg/project-gutenberg-extended"
    revision: str = "main"
    split: str = "train"
    text_column: str = "text"
    name_column: str = "book_title"
    titles: str = added("")
    titles_sha256: str = added("")
    data_files: tuple[str, ...] = added(())
    fingerprint: str = added("")

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small."""
        at_least(1, n_books=self.n_books)
        at_least(0, n_held_out=self.n_held_out, min_tokens=self.min_tokens, first_tokens=self.first_tokens)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for an input that the source, or a count of tokens, needs."""
    if (config.min_tokens or config.first_tokens) and "tokenizer" not in inputs:
        raise UsageError("min_tokens and first_tokens count tokens of the target; give the input `tokenizer`")
    if config.source == "text" and "text" not in inputs:
        raise UsageError("source text reads the books of a text artifact; give the input `text`")


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import data_set

    return data_set(config.repo, config.revision, config.split, config.data_files) if config.source == "hub" else []


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with the digests of a local `repo` and of the titles as they are now.

    Raises UsageError for a file that tasks would not see.
    """
    config = data_sets.pinned(config)
    if not config.titles:
        return config
    file = places.ROOT / config.titles
    if not Path(config.titles).is_absolute() and places.SWEEPS not in file.parents:
        raise UsageError(
            f"titles: {config.titles}: tasks run a copy of the code, which has no such file; put it below sweeps/, or "
            "give an absolute path"
        )
    return replace(config, titles_sha256=books.digest(file))


def facts(config: Config, given: Given) -> Facts:
    """How many books; how long they are only if they are cut (else a sweep gives an estimate)."""
    return Facts(texts=config.n_books, tokens_a_text=config.first_tokens or None, held_out=config.n_held_out)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Draw the documents and write them. Raises TesseraError for too few of them, and titles that are not there."""
    data_sets.check_pinned(config)
    tokenizer = _tokenizer(config, inputs)
    with _library(config, inputs, out) as (titles, text_of):
        chosen = _choose(config, tokenizer, titles, text_of)
        texts = [_cut(config, tokenizer, text_of(index)) for index in chosen]
        labels = [titles[index] for index in chosen]
    with hdf5.create(out / places.BOOKS) as file:
        for name, part in _parts(config).items():
            hdf5.write_texts(file, name, texts[part])
            hdf5.write_texts(file, f"{name}_names", labels[part])
    print(f"books: {config.n_books} books, {config.n_held_out} held out, of {len(titles)} documents")


def _parts(config: Config) -> dict[str, slice]:
    # held-out documents come first in the drawn order, so that n_books does not change them
    return {"held_out": slice(0, config.n_held_out), "books": slice(config.n_held_out, None)}


def _choose(config: Config, tokenizer: Any, titles: list[str], text_of: Callable[[int], str]) -> list[int]:
    """The rows of the held-out documents, then of the books."""
    listed = _titles(config)
    named = books.by_title(titles, listed[: config.n_books], str(places.ROOT / config.titles))

    def fits(text: str) -> bool:
        return bool(text.strip()) and (
            not config.min_tokens or books.count_tokens(tokenizer, text) >= config.min_tokens
        )

    # by title, so that another copy of a listed book is not held out, and n_books moves no held-out document
    listed_rows = np.isin(np.array(titles, dtype=object), listed)
    order = generator(config.seed, "books").permutation(len(titles))
    needed = config.n_held_out + (0 if config.titles else config.n_books)
    chosen = books.choose(order[~listed_rows[order]].tolist(), text_of, fits, needed)
    if len(chosen) < needed:
        raise TesseraError(_too_few(config, int((~listed_rows).sum()), len(chosen)))
    return chosen + named


def _too_few(config: Config, documents: int, fitting: int) -> str:
    wanted, lower = f"n_books is {config.n_books} and n_held_out is", "n_books, n_held_out"
    if config.titles:
        wanted, lower = "n_held_out (documents of other titles) is", "n_held_out"
    return (
        f"{wanted} {config.n_held_out}, but of {documents} documents only {fitting} have {config.min_tokens} tokens or "
        f"more; lower {lower} or min_tokens, or give more text (n_books of the stage text)"
    )


def _titles(config: Config) -> list[str]:
    """The titles of the file `titles`, none without it."""
    if not config.titles:
        return []
    file = places.ROOT / config.titles
    if config.titles_sha256 and books.digest(file) != config.titles_sha256:
        raise TesseraError(f"{file}: the file changed since this run was planned; submit the sweep again")
    found = books.read_titles(file)
    if len(found) < config.n_books:
        raise TesseraError(f"{file}: {len(found)} titles, but n_books is {config.n_books}; lower n_books")
    return found


def _cut(config: Config, tokenizer: Any, text: str) -> str:
    return books.first_tokens(tokenizer, text, config.first_tokens) if config.first_tokens else text


def _tokenizer(config: Config, inputs: dict[str, Path]) -> Any:
    if not config.min_tokens and not config.first_tokens:
        return None
    from lib.models import loading

    return loading.load_tokenizer(inputs["tokenizer"])


@contextmanager
def _library(config: Config, inputs: dict[str, Path], out: Path) -> Iterator[Any]:
    if config.source == "hub":
        with _hub_library(config, out) as library:
            yield library
        return
    file = store.find(inputs["text"], places.TEXT)
    yield hdf5.read_texts(file, "books_names"), hdf5.read_texts(file, "books").__getitem__


@contextmanager
def _hub_library(config: Config, out: Path) -> Iterator[Any]:
    from lib.models.hub import opened

    items = hub(config)
    folder, chosen = opened(items, config.repo, config.data_files)
    chosen = chosen if items else data_sets.local(folder, config.split, chosen)
    scratch = places.private(out / "arrow", "books")
    try:
        rows = data_sets.load(folder, config.split, (config.text_column, config.name_column), scratch, chosen)
        where = f"{folder}: split '{config.split}', row"
        yield (
            list(map(str, rows[config.name_column])),
            lambda index: data_sets.column(rows[int(index)], config.text_column, f"{where} {index}"),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
