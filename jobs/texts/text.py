"""Take documentation of installed packages as text: documents for pre-training, and books.

    python -m jobs text --config FILE --out DIR

It has no inputs and needs no network. FILE holds:

    packages: [networkx==3.4.2]
    n_books: 24

Result text.h5: texts `train` and `books` (no paragraph is in both), with their names in `train_names`, `books_names`;
attribute `packages`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.distributions import versions
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.texts.documents import Document, millions, write_documents
from lib.texts.package_docs import corpus

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("n_books", "seed")


@dataclass(frozen=True)
class Config:
    """Which documents there are, and how many of them are books.

    packages: installed distributions, as `name` or `name==version` (then any other version is an error)
    n_books: how many documents are drawn as books; all others are for pre-training
    book_characters: characters that a book must have
    min_characters: documents with fewer characters are left out
    max_characters: a document ends before the paragraph that would make it longer
    min_paragraph: paragraphs with fewer characters are left out
    seed: the seed of the choice of books
    """

    packages: tuple[str, ...]
    n_books: int
    book_characters: int = 8000
    min_characters: int = 200
    max_characters: int = 200_000
    min_paragraph: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small."""
        at_least(0, n_books=self.n_books, seed=self.seed)
        at_least(1, book_characters=self.book_characters, max_characters=self.max_characters)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Collect the documents, draw the books and write both."""
    documents = corpus(config.packages, config.min_characters, config.max_characters, config.min_paragraph)
    chosen = set(choose_books(documents, config))
    books = [documents[index] for index in sorted(chosen)]
    train = [document for index, document in enumerate(documents) if index not in chosen]
    if not train:
        raise TesseraError(f"packages: every document of {', '.join(config.packages)} is a book; name more packages")
    with hdf5.create(out / places.TEXT) as file:
        write_documents(file, "train", train)
        write_documents(file, "books", books)
        found = versions(config.packages)
        file.attrs["packages"] = ", ".join(f"{name}=={found[name]}" for name in sorted(found))
    print(f"text: {len(train)} documents ({millions(train)} M characters), {len(books)} books ({millions(books)} M)")


def choose_books(documents: list[Document], config: Config) -> np.ndarray:
    """The drawn indices of `n_books` long documents. Raises TesseraError where there are too few."""
    long = [index for index, document in enumerate(documents) if len(document.text) >= config.book_characters]
    if len(long) < config.n_books:
        raise TesseraError(
            f"n_books is {config.n_books}, but only {len(long)} documents of {', '.join(config.packages)} "
            f"have {config.book_characters} characters; name more packages or lower book_characters"
        )
    return generator(config.seed, "books of the text").permutation(long)[: config.n_books]
