"""Prompts of the prefix attack: a number of tokens from inside a document, and the tokens that truly follow.

python -m jobs prompts --config FILE --out DIR

    inputs: {tokenizer: DIR}      # and, as the source wants, passages: DIR, text: DIR, corpus: DIR (files or a folder)
    source: passages | text | hub | files
    n_prompts: 10000              # 0: one of every document that is long enough
    prompt_tokens: 50
    max_prompt_tokens: 900        # the longest of a sweep: all lengths share document, position and suffix

Result prompts.h5, one row a prompt: `prompt` (n x P) and `suffix` (n x S) ids, `document` (its number in the source),
`position` (of the prompt, in tokens), `subset` (UTF-8 bytes), `repetitions` (0 where unknown). The same for every model
with that tokenizer. A document's number is its place in the source, so a source that changed gives other prompts.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError

if TYPE_CHECKING:
    from lib.models.hub import HubItem
    from lib.prefix.prompts import Seen, SourceDocument

VERSION = 1
INPUTS = ("tokenizer",)
OPTIONAL_INPUTS = ("passages", "text", "corpus")
SLUG = ("source", "prompt_tokens", "n_prompts", "seed")
NEEDS = {"passages": "passages", "text": "text", "files": "corpus"}  # the input that a source reads


@dataclass(frozen=True)
class Config:
    """Where documents come from, and what is drawn of them.

    `hub`: the data set `repo` in the cache (or a folder in its layout); streaming: over the network instead, which
    needs a commit as `revision`. data_files: patterns within it. text_column, subset_column: `a.b` is `b` inside `a`.
    text_part: which texts of a text artifact. subset: the name of all documents where no column has it; subsets: only
    these are drawn from; per_subset: n_prompts of each. max_documents: only so many are looked at, 0: all.
    max_prompt_tokens: 0 is prompt_tokens.
    """

    source: Literal["passages", "text", "hub", "files"]
    repo: str = ""
    revision: str = "main"
    split: str = "train"
    data_files: tuple[str, ...] = ()
    streaming: bool = False
    text_column: str = "text"
    subset_column: str = ""
    text_part: Literal["train", "books"] = "train"
    subset: str = ""
    subsets: tuple[str, ...] = ()
    per_subset: bool = False
    max_documents: int = 0
    n_prompts: int = 10_000
    prompt_tokens: int = 50
    max_prompt_tokens: int = 0
    suffix_tokens: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse lengths that make no prompts, and a stream that may change."""
        if min(self.prompt_tokens, self.suffix_tokens) < 1 or min(self.n_prompts, self.max_documents, self.seed) < 0:
            raise ValueError("prompt_tokens and suffix_tokens: at least 1; n_prompts, max_documents, seed: at least 0")
        if 0 != self.max_prompt_tokens < self.prompt_tokens:
            raise ValueError(
                f"max_prompt_tokens {self.max_prompt_tokens}: less than prompt_tokens {self.prompt_tokens}"
            )
        if self.source == "hub" and not self.repo:
            raise ValueError("source hub: give repo (owner/name, or a folder)")
        if self.streaming and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError(f"streaming: revision '{self.revision}' may change; give a commit (40 hex digits)")

    @property
    def window_tokens(self) -> int:
        """The room that a document must have."""
        return (self.max_prompt_tokens or self.prompt_tokens) + self.suffix_tokens


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import HubItem

    if config.source != "hub" or config.streaming or Path(config.repo).is_dir():
        return []
    return [HubItem("dataset", config.repo, config.revision)]


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Draw the windows, check that they are enough, write."""
    from lib.models import loading
    from lib.prefix import prompts, prompts_file

    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    documents = _chosen(config, documents_of(config, inputs))
    windows, seen = prompts.draw(
        documents, _encoder(tokenizer), config.window_tokens, config.n_prompts, config.seed, config.per_subset
    )
    found: dict[str, int] = dict.fromkeys(config.subsets, 0)
    for window in windows:
        found[window.subset] = found.get(window.subset, 0) + 1
    _check(config, found, len(windows), seen)
    attributes = {"seed": config.seed, "window_tokens": config.window_tokens, "documents": seen.documents}
    prompts_file.write(out / places.PROMPTS, windows, config.prompt_tokens, config.suffix_tokens, tokenizer, attributes)
    print(f"prompts: {len(windows)} of {seen.documents} documents; by subset: {_listed(found)}")


def documents_of(config: Config, inputs: dict[str, Path]) -> "Iterator[SourceDocument]":
    """Every document of the source, in its order. Raises UsageError when the input that it reads is not given."""
    needed = NEEDS.get(config.source)
    if needed and needed not in inputs:
        raise UsageError(f"source '{config.source}' reads the input `{needed}`: give it")
    readers: dict[str, Callable[[Config, Any], Iterator[SourceDocument]]] = {
        "passages": _passages, "text": _text, "files": _files, "hub": _hub,
    }  # fmt: skip
    return readers[config.source](config, inputs.get(needed or ""))


def _passages(config: Config, given: Path) -> "Iterator[SourceDocument]":
    from lib.prefix.prompts import SourceDocument

    file = store.find(given, places.PASSAGES)
    texts, subsets, repetitions = (
        hdf5.read_texts(file, "passages"), hdf5.read(file, "subset"), hdf5.read(file, "repetitions"),
    )  # fmt: skip
    for text, subset, count in zip(texts, subsets, repetitions, strict=True):
        yield SourceDocument(text, subset.decode(), int(count))


def _text(config: Config, given: Path) -> "Iterator[SourceDocument]":
    from lib.prefix.prompts import SourceDocument

    for text in hdf5.read_texts(store.find(given, places.TEXT), config.text_part):
        yield SourceDocument(text, config.subset)


def _files(config: Config, given: Path) -> "Iterator[SourceDocument]":
    from lib.prefix.prompts import SourceDocument
    from lib.texts import listing, text_files

    listed = listing.open_input(given)
    for file in listed.files:
        for text in text_files.documents(Path(file), listed.text_key):
            yield SourceDocument(text, config.subset)


def _hub(config: Config, given: None) -> "Iterator[SourceDocument]":
    from lib.models.hub import local_snapshot
    from lib.prefix.prompts import SourceDocument
    from lib.texts import data_sets

    items = hub(config)
    source = (
        config.repo if config.streaming else str(local_snapshot(items[0]) if items else Path(config.repo).resolve())
    )
    revision = config.revision if config.streaming else None
    for row in data_sets.rows(source, config.split, config.data_files, revision):
        subset = data_sets.column(row, config.subset_column, source) if config.subset_column else config.subset
        yield SourceDocument(data_sets.column(row, config.text_column, source), subset)


def _chosen(config: Config, documents: "Iterator[SourceDocument]") -> "Iterator[SourceDocument]":
    """Documents of other subsets stay, emptied, so that the numbers of the others do not change."""
    from lib.prefix.prompts import SourceDocument

    for document in itertools.islice(documents, config.max_documents or None):
        chosen = not config.subsets or document.subset in config.subsets
        yield document if chosen else SourceDocument("", document.subset)


def _encoder(tokenizer: Any) -> Callable[[str], list[int]]:
    """Text verbatim: a special token's spelling inside a document is text."""

    def encode(text: str) -> list[int]:
        return tokenizer(
            text, add_special_tokens=False, return_attention_mask=False, verbose=False, split_special_tokens=True
        )["input_ids"]

    return encode


def _check(config: Config, found: dict[str, int], total: int, seen: "Seen") -> None:
    """Raise TesseraError, with counts, when there are too few documents that are long enough."""
    few = any(count < max(1, config.n_prompts) for count in found.values()) if config.per_subset else False
    if total >= max(1, config.n_prompts) and not few:
        return
    wanted = f"{config.n_prompts or 'any'} prompts{' of each subset' if config.per_subset else ''}"
    raise TesseraError(
        f"{wanted} are wanted, but of {seen.documents} documents only {total} have {config.window_tokens} tokens "
        f"(by subset: {_listed(found)}); lower n_prompts, max_prompt_tokens or suffix_tokens, or give more text"
    )


def _listed(found: dict[str, int]) -> str:
    return ", ".join(f"{subset or 'all'} {count}" for subset, count in sorted(found.items())) or "none"
