"""Draw prompts from inside documents, with the tokens that truly follow.

    python -m jobs prompts --config FILE --out DIR

FILE holds:

    inputs: {tokenizer: DIR, passages: DIR}      # the source's own input: passages, text, or corpus (files, a folder)
    source: passages
    n_prompts: 10000
    prompt_tokens: 50
    max_prompt_tokens: 900

Result prompts.h5, one row per prompt: `prompt` (n x P) and `suffix` (n x S) ids, `document` (its number in the source),
`position` (of the prompt, in tokens), `subset` (UTF-8 bytes), `repetitions` (0 where unknown); where it is read from
files `file` (UTF-8 bytes) and `in_file` (which document of it, from 1). It is the same for every model with that
tokenizer. A document's number is its place in the source, so a source that changes gives other
prompts. Where bad documents are skipped, the attributes `bad_documents`, `bad_documents_by_reason` and
`bad_documents_first` (JSON) say how many were, why, and which were the first.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError, UsageError, counted
from lib.costs.facts import Facts, Given
from lib.prefix import prompts_file
from lib.prefix.prompts import Amounts, SourceDocument, draw
from lib.texts import bad_documents, data_sets, listing, text_files
from lib.texts.bad_documents import Skipped

if TYPE_CHECKING:
    from lib.models.hub import HubItem

VERSION = 1
INPUTS = ("tokenizer",)
OPTIONAL_INPUTS = ("passages", "text", "corpus")
SLUG = ("source", "prompt_tokens", "n_prompts", "seed")
NEEDS = {"passages": "passages", "text": "text", "files": "corpus"}  # the input that a source reads

DEFAULT_COLUMN = "text"


@dataclass(frozen=True)
class Config:
    """Where documents come from, and what is drawn of them.

    source: `passages` and `text` read artifacts of the stages repeated_text and text, `hub` reads the data set `repo`,
        `files` reads the input corpus
    repo: source hub: the data set `owner/name`, which `fetch` brings into the cache of this machine, or a local folder
        in the layout of the hub
    revision: source hub: the commit; a branch means what the cache holds of it
    split: source hub: the split of the data set
    data_files: source hub: patterns of the files to fetch and read; empty takes those whose path has the split's name
    text_column: source hub: the column of the text; `a.b` is `b` inside `a`. Source files: the field of the text in
        JSON lines, CSV and Parquet; `text` takes the `text_key` that the corpus was listed with
    subset_column: source hub: the column that names the subset, such as `meta.name`; "" gives all documents the name
        in `subset`
    text_part: source text: which texts of the artifact
    subset: the subset's name of all documents, where no column has it
    subsets: draw from these subsets only; empty draws from all
    per_subset: whether `n_prompts` are drawn from each subset, instead of from all together
    max_documents: read only so many documents of the source; 0 reads all
    n_prompts: how many prompts; 0 is all that documents give: one each, or `per_document`
    per_document: at most so many prompts of one document, which do not overlap. Second ones are taken only where first
        ones of all documents are too few
    enough: how many prompts are enough where documents do not give `n_prompts`; null asks for all of them
    prompt_tokens: tokens of a prompt
    max_prompt_tokens: tokens of the longest prompt of the sweep, so that prompts of all lengths share document,
        position and suffix; 0 is `prompt_tokens`
    suffix_tokens: tokens after the prompt, which a model should continue it with
    seed: the seed of the choice of documents and positions
    on_bad_document: sources hub and files: what to do about a document that is null, no string, no JSON, not UTF-8 or
        too long: `fail`, or `skip`, which counts it and takes it as empty
    max_bad_documents: how many documents may be skipped, a count or a share below 1; more are an error
    fingerprint: 16 hex digits of the files of a local `repo`; a sweep fills it in when it plans, so that other files
        are a new task; leave it out by hand
    """

    FORMER: ClassVar = {"streaming": False}

    source: Literal["passages", "text", "hub", "files"]
    repo: str = ""
    revision: str = "main"
    split: str = "train"
    data_files: tuple[str, ...] = ()
    text_column: str = DEFAULT_COLUMN
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
    per_document: int = added(1)
    enough: int | None = added(None)
    on_bad_document: Literal["fail", "skip"] = added("fail")
    max_bad_documents: int | float = execution(100)
    fingerprint: str = added("")

    def __post_init__(self) -> None:
        """Raise ValueError for lengths that give no prompts, and for source hub without a data set."""
        at_least(1, prompt_tokens=self.prompt_tokens, suffix_tokens=self.suffix_tokens)
        at_least(1, per_document=self.per_document, enough=self.enough)
        at_least(0, n_prompts=self.n_prompts, max_documents=self.max_documents, seed=self.seed)
        bad_documents.check_bound(self.max_bad_documents)
        if self.max_prompt_tokens and self.max_prompt_tokens < self.prompt_tokens:
            raise ValueError(
                f"max_prompt_tokens is {self.max_prompt_tokens}; it must be at least prompt_tokens "
                f"({self.prompt_tokens}), or 0"
            )
        if self.enough and self.n_prompts and self.enough > self.n_prompts:
            raise ValueError(f"enough is {self.enough}; it must be at most n_prompts ({self.n_prompts})")
        if self.source == "hub" and not self.repo:
            raise ValueError("source hub: give repo (owner/name, or a folder)")

    @property
    def window_tokens(self) -> int:
        """The room that a document must have."""
        return (self.max_prompt_tokens or self.prompt_tokens) + self.suffix_tokens


def hub(config: Config) -> "list[HubItem]":
    """What must be in the hub cache before the task runs."""
    from lib.models.hub import data_set

    return data_set(config.repo, config.revision, config.split, config.data_files) if config.source == "hub" else []


def pin(config: Config, root: Path | None = None) -> Config:
    """`config` with the fingerprint of a local `repo` as it is now."""
    return data_sets.pinned(config)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for an input that the source reads."""
    needed = NEEDS.get(config.source)
    if needed and needed not in inputs:
        raise UsageError(f"source {config.source} reads the input `{needed}`; give it")


def foreseen(config: Config, inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """That a local corpus is too small for the prompts; "" if it may be large enough, or its text is compressed.

    inputs: the configuration of each input.
    """
    corpus = inputs.get("corpus", {})
    if config.source != "files" or not corpus.get("path"):
        return ""
    patterns = corpus["pattern"]
    found = listing.list_files(Path(corpus["path"]), (patterns,) if isinstance(patterns, str) else patterns)
    most = _most(config, found)
    if most is None or most >= max(1, config.n_prompts):
        return ""
    fails = most < max(1, config.enough or config.n_prompts)
    return (
        f"prompts of {corpus['path']}: {config.n_prompts or 'any'} of {config.window_tokens} tokens each (suffix "
        f"included) are asked for, but {counted(len(found.files), 'file')} of {sum(found.sizes):,} bytes give {most} "
        f"at most, with {config.per_document} a document; "
        + ("the task will fail: lower n_prompts, or set enough" if fails else "tables will say how many there were")
    )


def _most(config: Config, corpus: listing.Listing) -> int | None:
    """The most prompts that the bytes can give, as a token stands for a byte at least; None for compressed text."""
    kinds = [text_files.suffix(file) for file in corpus.files]
    if not {text_files.WHOLE, *text_files.LINES}.issuperset(kinds):
        return None
    windows = [size // config.window_tokens for size in corpus.sizes]
    return sum(min(config.per_document, n) if kind == text_files.WHOLE else n for kind, n in zip(kinds, windows))


def facts(config: Config, given: Given) -> Facts:
    """How many prompts, if that is said, of how many tokens, and of how many their true suffixes."""
    several = len(config.subsets) if config.per_subset else 1
    return Facts(
        texts=config.n_prompts * several or None,
        tokens_a_text=config.prompt_tokens,
        suffix_tokens=config.suffix_tokens,
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Draw the windows, check that they are enough, write."""
    from lib.models import loading
    from lib.tokens.tokenization import encode  # imports transformers

    data_sets.check_pinned(config)
    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    skipped = bad_documents.skipping(config.on_bad_document, config.max_bad_documents)
    documents = _chosen(config, documents_of(config, inputs, skipped))
    amounts = Amounts(config.n_prompts, config.per_subset, config.per_document)
    windows, seen = draw(documents, partial(encode, tokenizer), config.window_tokens, amounts, config.seed)
    found: dict[str, int] = dict.fromkeys(config.subsets, 0)
    for window in windows:
        found[window.subset] = found.get(window.subset, 0) + 1
    _check(config, found, len(windows), seen)
    attributes = {"seed": config.seed, "window_tokens": config.window_tokens, "documents": seen, **_told(skipped)}
    prompts_file.write(out / places.PROMPTS, windows, config.prompt_tokens, config.suffix_tokens, tokenizer, attributes)
    asked = f" of {config.n_prompts} asked for" if len(windows) < config.n_prompts else ""
    print(f"prompts: {len(windows)}{asked}, of {seen} documents; by subset: {_listed(found)}")


def _told(skipped: Skipped | None) -> dict[str, Any]:
    """The attributes that say what was skipped. Raises TesseraError for more than may be."""
    if skipped is None:
        return {}
    skipped.check()
    print(f"prompts: {skipped.said()}")
    return skipped.attributes()


def documents_of(config: Config, inputs: dict[str, Path], skipped: Skipped | None = None) -> Iterator[SourceDocument]:
    """Every document of the source, in its order. Raises UsageError if the input that it reads is missing.

    skipped: counts bad documents, which are empty then; without it the first one is an error.
    """
    readers: dict[str, Callable[[Config, Any, Skipped | None], Iterator[SourceDocument]]] = {
        "passages": _passages, "text": _text, "files": _files, "hub": _hub,
    }  # fmt: skip
    return readers[config.source](config, inputs.get(NEEDS.get(config.source, "")), skipped)


def _passages(config: Config, given: Path, skipped: Skipped | None) -> Iterator[SourceDocument]:
    file = store.find(given, places.PASSAGES)
    texts, subsets, repetitions = (
        hdf5.read_texts(file, "passages"), hdf5.read(file, "subset"), hdf5.read(file, "repetitions"),
    )  # fmt: skip
    for text, subset, count in zip(texts, subsets, repetitions, strict=True):
        yield SourceDocument(text, subset.decode(), int(count))


def _text(config: Config, given: Path, skipped: Skipped | None) -> Iterator[SourceDocument]:
    for text in hdf5.read_texts(store.find(given, places.TEXT), config.text_part):
        yield SourceDocument(text, config.subset)


def _files(config: Config, given: Path, skipped: Skipped | None) -> Iterator[SourceDocument]:
    listed = listing.open_input(given)
    key = listed.text_key if config.text_column == DEFAULT_COLUMN else config.text_column
    for file in listed.files:
        for number, text in enumerate(text_files.documents(Path(file), key, skipped), start=1):
            yield SourceDocument(text, config.subset, file=str(file), in_file=number)


def _hub(config: Config, given: None, skipped: Skipped | None) -> Iterator[SourceDocument]:
    from lib.models.hub import opened

    items = hub(config)
    folder, chosen = opened(items, config.repo, config.data_files)
    chosen = chosen if items else data_sets.local(folder, config.split, chosen)
    for number, row in enumerate(data_sets.rows(folder, config.split, chosen)):
        where = f"{folder}: row {number} of split '{config.split}'"
        for text in bad_documents.texts([data_sets.text(row, config.text_column, where)], skipped):
            subset = data_sets.column(row, config.subset_column, where) if config.subset_column else config.subset
            yield SourceDocument(text, subset)


def _chosen(config: Config, documents: Iterator[SourceDocument]) -> Iterator[SourceDocument]:
    """Documents of other subsets are emptied but stay, so that the numbers of the others do not change."""
    for document in itertools.islice(documents, config.max_documents or None):
        chosen = not config.subsets or document.subset in config.subsets
        yield document if chosen else SourceDocument("", document.subset)


def _check(config: Config, found: dict[str, int], total: int, seen: int) -> None:
    """Raise TesseraError, with counts, if the documents give too few prompts."""
    least = max(1, config.enough or config.n_prompts)
    if total >= least and not (config.per_subset and any(count < least for count in found.values())):
        return
    asked_for = f"{config.enough or config.n_prompts or 'any'} prompts{' of each subset' if config.per_subset else ''}"
    raise TesseraError(
        f"asked for {asked_for}, but {seen} documents give only {total} of {config.window_tokens} tokens, at "
        f"most {config.per_document} each (by subset: {_listed(found)}); lower n_prompts, max_prompt_tokens or "
        "suffix_tokens, raise per_document, set `enough`, or give more text"
    )


def _listed(found: dict[str, int]) -> str:
    return ", ".join(f"{subset or 'all'} {count}" for subset, count in sorted(found.items())) or "none"
