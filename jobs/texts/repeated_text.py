"""Pre-training text in which some passages occur 1, 4, 16 and 64 times, so that memorization is there to be found.

python -m jobs repeated_text --config FILE --out DIR

    packages: [networkx==3.4.2, numpy==2.2.6, pillow==12.3.0]   # pinned: their files are the text
    passages_per_cell: 12                                       # of every subset at every number of repetitions

Result text.h5, as the stage text writes it: texts `train` (the passages, each as a document of its own, spread among
the rest) and `train_names`; no books. passages.h5: texts `passages` and `passages_names`, `subset` (bytes),
`repetitions`. A model sees each passage so often only when it is trained on the whole text, once.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.texts.documents import Document, millions, write_documents

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("passages_per_cell", "seed")
SUBSETS = ("licences", "prose", "code")


@dataclass(frozen=True)
class Config:
    """packages: distributions, as `name` or `name==version` (then another version is refused).

    subsets: `licences`, `prose` (documentation strings), `code` (the rest of the modules); of each, documents of up to
    filler_characters together, or all there are. A paragraph stands in one document only.
    """

    packages: tuple[str, ...]
    subsets: tuple[str, ...] = SUBSETS
    repetitions: tuple[int, ...] = (1, 4, 16, 64)
    passages_per_cell: int = 12
    passage_characters: int = 400
    filler_characters: int = 700_000
    min_characters: int = 200
    max_characters: int = 20_000
    min_paragraph: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no passages."""
        unknown = [subset for subset in self.subsets if subset not in SUBSETS]
        if unknown or not self.subsets or len(set(self.subsets)) < len(self.subsets):
            raise ValueError(f"subsets: some of {', '.join(SUBSETS)}, each once, are wanted; found {self.subsets}")
        if not self.packages or not self.repetitions or min(self.repetitions) < 1 or self.passages_per_cell < 1:
            raise ValueError("packages, repetitions and passages_per_cell: at least 1 of each is wanted")
        if self.passage_characters < 100:
            raise ValueError(f"passage_characters: at least 100 are wanted, found {self.passage_characters}")


@dataclass(frozen=True)
class Passage:
    """A text that is repeated."""

    document: Document
    subset: str
    repetitions: int


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Collect the documents, cut the passages out, and write the text with their copies and the passages."""
    documents = collect(config)
    passages, filler = cut(config, documents)
    train = spread(passages, filler, config.seed)
    with hdf5.create(out / places.TEXT) as file:
        write_documents(file, "train", train)
        write_documents(file, "books", [])
        file.attrs["packages"] = ", ".join(sorted(config.packages))
    with hdf5.create(out / places.PASSAGES) as file:
        write_documents(file, "passages", [passage.document for passage in passages])
        hdf5.write(file, "subset", np.array([passage.subset.encode() for passage in passages]))
        hdf5.write(file, "repetitions", np.array([passage.repetitions for passage in passages], "<u4"))
    print(f"repeated_text: {millions(filler)} M characters in {len(filler)} documents; {len(passages)} passages, "
          f"{len(train) - len(filler)} copies of {config.passage_characters} characters")  # fmt: skip


def collect(config: Config) -> dict[str, list[Document]]:
    """The documents of every subset, in a drawn order. Raises TesseraError naming a subset without any."""
    seen: set[str] = set()
    found = {subset: _documents(config, subset, seen) for subset in config.subsets}
    for subset, documents in found.items():
        if not documents:
            raise TesseraError(f"{subset}: no document in {', '.join(config.packages)}; name more packages")
    return found


def cut(config: Config, documents: dict[str, list[Document]]) -> tuple[list[Passage], list[Document]]:
    """The passages and the documents without them. Raises TesseraError naming a subset with too few unique ones."""
    from lib.texts import passages as texts_passages

    every = [document.text for subset in documents for document in documents[subset]]
    unique = iter(texts_passages.unique_pieces(every, config.passage_characters))
    passages, filler = [], []
    for subset, members in documents.items():
        pieces = [next(unique) for _ in members]
        wanted = config.passages_per_cell * len(config.repetitions)
        chosen = texts_passages.drawn(pieces, wanted, config.seed, subset)
        passages += _passages(config, subset, members, chosen)
        filler += _left(config, members, chosen)
    return passages, filler


def spread(passages: list[Passage], filler: list[Document], seed: int) -> list[Document]:
    """Every copy of every passage and the filler, in a drawn order."""
    everything = [passage.document for passage in passages for _ in range(passage.repetitions)] + filler
    return [everything[index] for index in generator(seed, "spread of passages").permutation(len(everything))]


def _documents(config: Config, subset: str, seen: set[str]) -> list[Document]:
    from lib.texts import package_files

    found, total = [], 0
    files = package_files.paths(subset, config.packages)
    for index in generator(config.seed, f"documents of {subset}").permutation(len(files)):
        if total >= config.filler_characters:
            break
        name, path = files[index]
        if len(text := _text(config, package_files.read(subset, path), seen)) >= config.min_characters:
            found.append(Document(name, text))
            total += len(text)
    return found


def _text(config: Config, text: str, seen: set[str]) -> str:
    from lib.texts.package_docs import clip, paragraphs, unseen

    return clip(unseen(paragraphs(text, config.min_paragraph), seen), config.max_characters)


def _passages(config: Config, subset: str, members: list[Document], chosen: list[tuple[int, int]]) -> list[Passage]:
    """One cell after another: passages_per_cell of each number of repetitions."""
    found = []
    for place, (index, start) in enumerate(chosen):
        text = members[index].text[start : start + config.passage_characters]
        times = config.repetitions[place // config.passages_per_cell]
        found.append(Passage(Document(f"{members[index].name}: from character {start}", text), subset, times))
    return found


def _left(config: Config, members: list[Document], chosen: list[tuple[int, int]]) -> list[Document]:
    from lib.texts import passages as texts_passages

    starts: dict[int, list[int]] = {}
    for index, start in chosen:
        starts.setdefault(index, []).append(start)
    return [
        Document(member.name, part)
        for index, member in enumerate(members)
        for part in texts_passages.without(member.text, starts.get(index, []), config.passage_characters)
    ]
