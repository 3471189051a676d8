"""Trace texts: their longest runs in a corpus, with counts and places, and what is nearly equal.

    python -m jobs trace --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs trace --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]         # chunks, or directories of them
      suffix_arrays: [DIR/suffix_array.h5, ...]  # one for each chunk, in the same order
      search_tables: [DIR/search_table.h5, ...]  # the same; without them every rank makes them in its memory
      tokenizer: DIR                             # of the corpus
      texts: mine.jsonl                          # or generations: [DIR, ...], and model: DIR, which wrote them
    min_run: 10

Result traces.h5, of texts (rows from 0) whose ids are those of the tokenizer:
`tokens`, `longest` (n): tokens of each text, and of its longest run, 0 if it is shorter than min_run;
`runs/`: `text`, `start`, `length`, `count` (over all chunks), `exact` (1; 0 where the count is an upper bound): every
run that lies in no longer one, sorted by text and start;
`places/`: `run` (row in runs), `chunk`, `position`, `document` (of the chunk), `token` (of the document): of each run
the first `most_places`;
`near/`: `text`, `start`, `length`, `chunk`, `position`, `distance`: windows of the corpus within max_edits of a window
of the text, exact copies included, none overlapping another of its window.
Attributes: `n_tokens` of the corpus, `extractable` (texts with a run of at least 50 tokens), the keys of the
configuration that are not null. Runs and windows lie inside single documents. Any number of ranks gives the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError, UsageError
from lib.corpus import chunks, text_blocks
from lib.texts import text_files

VERSION = 1
MPI = True
INPUTS = ("corpus", "suffix_arrays", "tokenizer")
OPTIONAL_INPUTS = ("search_tables", "texts", "generations", "model")
LISTS = ("corpus", "suffix_arrays", "search_tables", "generations")
SLUG = ("min_run",)


@dataclass(frozen=True)
class Config:
    """What is looked for, and how the work is cut.

    min_run: tokens of the shortest run that is stored
    most_places: places that are stored of a run, in each chunk
    near: whether near-duplicates are looked for
    window: tokens of a window of a text whose near-duplicates are looked for; a shorter text is one window
    max_edits: how far a near-duplicate may be, in tokens; null is a tenth of the window's length
    text_key: the field of a document that holds its text
    block_texts: texts in one block; a stopped run continues with the missing blocks
    block_tokens: tokens of the corpus that are checked at once
    verify: whether all of the corpus and its arrays is first read and checked
    """

    min_run: int = 10
    most_places: int = 3
    near: bool = True
    window: int = 100
    max_edits: int | None = None
    text_key: str = "text"
    block_texts: int = execution(1 << 10)
    block_tokens: int = execution(1 << 26)
    verify: bool = execution(True)

    def __post_init__(self) -> None:
        """Raise ValueError for runs, windows and blocks of nothing, and for distances that the table cannot hold."""
        at_least(1, min_run=self.min_run, window=self.window)
        at_least(1, block_texts=self.block_texts, block_tokens=self.block_tokens)
        at_least(0, most_places=self.most_places, max_edits=self.max_edits)
        if self.max_edits is not None and self.max_edits >= 1 << 16:
            raise ValueError(f"max_edits is {self.max_edits}; it must be below 65536")


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Trace block by block; rank 0 joins the blocks."""
    from lib.corpus.counts import by_ranks as checks
    from lib.corpus.trace import by_ranks, traces_file

    corpus, comm = chunks.open_chunks(inputs["corpus"]), mpi.world()
    arrays = _arrays(inputs, corpus)
    texts = _texts(config, inputs, corpus)
    if config.verify:
        ranges = text_blocks.text_ranges(corpus, config.block_tokens, "checked-")
        checks.verify(out / places.BLOCKS, ranges, corpus, arrays, comm)
    indices = _indices(inputs, corpus, arrays)
    looked_for = by_ranks.LookedFor(
        config.min_run, config.most_places, config.near, config.window, config.max_edits, config.block_texts
    )
    found = by_ranks.trace(out / places.BLOCKS, corpus, indices, texts, looked_for, comm)
    if found is not None:
        traces_file.write(out / places.TRACES, found, corpus, looked_for)
        print(traces_file.extracted(found.longest))


def _arrays(inputs: dict[str, Any], corpus: Sequence[chunks.Chunk]) -> list:
    from lib.corpus.suffixes import opened

    _check_number(inputs, "suffix_arrays", corpus)
    files = [store.find(path, places.SUFFIX_ARRAY) for path in inputs["suffix_arrays"]]
    return [opened.open_suffix_array(file, chunk) for file, chunk in zip(files, corpus)]


def _indices(inputs: dict[str, Any], corpus: Sequence[chunks.Chunk], arrays: Sequence) -> list:
    from lib.corpus.trace import index

    if not inputs.get("search_tables"):
        return [index.make(chunk, array) for chunk, array in zip(corpus, arrays)]
    _check_number(inputs, "search_tables", corpus)
    files = [store.find(path, places.SEARCH_TABLE) for path in inputs["search_tables"]]
    return [
        index.make(chunk, array, index.read(file, chunk, array)) for file, chunk, array in zip(files, corpus, arrays)
    ]


def _check_number(inputs: dict[str, Any], name: str, corpus: Sequence[chunks.Chunk]) -> None:
    if len(inputs[name]) != len(corpus):
        raise TesseraError(f"{name}: {len(inputs[name])} for {len(corpus)} chunks; give one for each, in their order")


def _texts(config: Config, inputs: dict[str, Any], corpus: Sequence[chunks.Chunk]) -> list[NDArray[np.int64]]:
    """The ids of every text, in the corpus's tokenizer, which is compared with that of the chunks."""
    from lib.models import loading
    from lib.tokens.encoders import Original, encode_large

    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    _check_tokenizer(Original(tokenizer).name, inputs["tokenizer"], corpus)
    if ("texts" in inputs) == ("generations" in inputs):
        raise UsageError("give one of the inputs 'texts' (a file) and 'generations' (with 'model', which wrote them)")
    if "texts" in inputs:
        found = encode_large(tokenizer, list(text_files.documents(inputs["texts"], config.text_key)))
    else:
        found = _continuations(inputs, tokenizer)
    if not len(found):
        raise UsageError(f"{inputs.get('texts') or inputs['generations']}: no text in it; give at least one")
    return [np.asarray(ids, np.int64) for ids in found]


def _check_tokenizer(name: str, tokenizer: Path, corpus: Sequence[chunks.Chunk]) -> None:
    for chunk in corpus:
        made = hdf5.attributes(chunk.path).get("tokenizer", name)
        if made != name:
            raise TesseraError(
                f"{chunk.path}: made with the tokenizer {made}, but {tokenizer} is {name}; give that of the corpus"
            )


def _continuations(inputs: dict[str, Any], tokenizer: Any) -> list[NDArray[np.int64]]:
    from lib.models import loading
    from lib.prefix.generated import continuations_as

    if "model" not in inputs:
        raise UsageError("generations: name the model that wrote them, input 'model', whose tokenizer reads them")
    own = loading.load_tokenizer(inputs["model"])
    files = [store.find(path, places.GENERATIONS) for path in inputs["generations"]]
    pairs = [[hdf5.read(file, name) for name in ("prompt", "continuation")] for file in files]
    return [ids for prompts, continuations in pairs for ids in continuations_as(prompts, continuations, own, tokenizer)]
