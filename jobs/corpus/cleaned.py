"""Write a corpus without what the stage `cuts` takes from it: the same files, in the same format.

    python -m jobs cleaned --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs cleaned --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: DIR                         # what the tokens were made from: a result of the stage corpus, or text files
      tokenizer: DIR                      # by which they were made
      tokens: [chunk-00.h5, chunk-01.h5]  # all chunks, in their order
      cuts: DIR                           # cuts-NN.h5 of these chunks

Result `files/`, with the names that the files have below their common folder, and cleaned.h5. Between two pieces of a
document that stay stands `separator`, so that no text of one joins that of the other. Every other byte stays: of a JSON
line all but the value of the text and a new field `cut`, which lists the bytes [start, stop) that went, of the original
text in UTF-8; lines without cuts and files without cuts are what they were. Documents keep their order; one of which
nothing is left goes. A character of which one token goes, goes whole.

cleaned.h5 has a row for each cut: `file` and `in_file` (number of the document in it), `chunk` and `document`, `start`
and `stop` (tokens of the document), `byte_start` and `byte_stop`, `copies`, `cause` (lib/corpus/cleaning/); the texts
`files`; `summary/...` (sums by cause and number of copies), and the totals as attributes.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import blocks, hdf5, mpi, places, seals
from lib.base.errors import Damaged, TesseraError
from lib.base.files import publish
from lib.corpus import chunks
from lib.corpus.chunks import Chunk
from lib.corpus.cleaning import cuts_file, ranges
from lib.costs.facts import Facts, Given
from lib.texts import listing, rewriting
from lib.texts.listing import Listing
from lib.texts.rewriting import Edited, Edits

VERSION = 1
MPI = True
INPUTS = ("corpus", "tokenizer", "tokens", "cuts")
LISTS = ("tokens",)
COLUMNS = {
    **dict.fromkeys(("in_file", "document", "start", "stop", "byte_start", "byte_stop"), "<u8"),
    **{"chunk": "<u4", "copies": "<u4", "cause": "u1"},
}
SUMMARY = ("cause", "copies", "cuts", "tokens", "bytes")
TENS = 10 ** np.arange(10)
DOCUMENTS = ("documents", "cut_documents", "gone_documents")  # attributes, and in the block of a file


@dataclass(frozen=True)
class Config:
    """How what stays is written.

    text_key: the field that holds the text; null takes the one that the corpus was listed with
    cut_key: the new field or column that says what went
    separator: what stands between two pieces of a document
    again: whether the corpus is itself a result of this stage, with the same keys: what went before and what goes now
        are then listed together, as bytes of the first text (of JSON lines, CSV and Parquet)
    """

    text_key: str | None = None
    cut_key: str = "cut"
    separator: str = "\n\n"
    again: bool = False


def facts(config: Config, given: Given) -> Facts:
    """Files and text of the corpus before: what goes is not known."""
    return given["corpus"]


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Count the documents of every file, write the files, add up."""
    from lib.models import loading
    from lib.tokens.byte_ranges import Aligner

    comm = mpi.world()
    files = comm.bcast(listing.open_input(inputs["corpus"]) if comm.rank == 0 else None)
    corpus = chunks.open_chunks(inputs["tokens"])
    cuts = [store.find(inputs["cuts"], places.cuts(row)) for row in range(len(corpus))]
    for path, chunk in zip(cuts, corpus):
        cuts_file.check(path, chunk)
    counts = _counts(files, out, comm)
    if (total := sum(len(chunk.offsets) - 1 for chunk in corpus)) != sum(counts):
        raise TesseraError(
            f"the files have {sum(counts)} documents, the tokens {total}; give the tokens of these files"
        )
    names = {f"file-{index:08d}": size for index, size in enumerate(files.sizes)}
    source = _Source(config, files, _relative(files), [0, *itertools.accumulate(counts)], corpus, cuts)
    for name in mpi.share(list(names), comm):
        _forget_unless_whole(source, name, out)
    comm.barrier()
    aligner = Aligner(loading.load_tokenizer(inputs["tokenizer"]))
    blocks.run(out / places.BLOCKS, names, lambda name: _clean(source, int(name[5:]), aligner, out), comm, "bytes")
    if comm.rank == 0:
        _write(out, source, list(names))


@dataclass(frozen=True)
class _Source:
    """What is cleaned. relative: the name of each file below their common folder; firsts: the number of the first
    document of each, and of all documents; cuts: the file of each chunk."""

    config: Config
    files: Listing
    relative: list[str]
    firsts: list[int]
    corpus: list[Chunk]
    cuts: list[Path]


def _relative(files: Listing) -> list[str]:
    common = os.path.commonpath([file.parent for file in files.files])
    return [str(file.relative_to(common)) for file in files.files]


def _counts(files: Listing, out: Path, comm: Any) -> list[int]:
    """How many documents each file has; every rank counts some."""

    def work(name: str) -> dict[str, np.ndarray]:
        return {"documents": np.array([rewriting.count(files.files[int(name[6:])])], "<u8")}

    names = {f"count-{index:08d}": size for index, size in enumerate(files.sizes)}
    blocks.run(out / places.BLOCKS, names, work, comm, "bytes")
    found = [int(blocks.read(out / places.BLOCKS, name)["documents"][0]) for name in names] if comm.rank == 0 else None
    return comm.bcast(found)


def _forget_unless_whole(source: _Source, name: str, out: Path) -> None:
    """Remove the block of a file that an attempt before has written, if the file is not what it wrote."""
    block, file = blocks.file(out / places.BLOCKS, name), _target(source, int(name[5:]), out)
    if not block.is_file():
        return
    try:
        wanted = blocks.read(out / places.BLOCKS, name)["xxh3"].tobytes()
    except Damaged:  # it is set aside when the blocks are made
        return
    if not file.is_file() or seals.checksum(file).encode() != wanted:
        block.unlink()


def _target(source: _Source, index: int, out: Path) -> Path:
    return out / places.CLEANED_FILES / source.relative[index]


def _clean(source: _Source, index: int, aligner: Any, out: Path) -> dict[str, np.ndarray]:
    """Write one file. Returns its cuts, its checksum and its numbers of documents."""
    file, target = source.files.files[index], _target(source, index, out)
    _check_unchanged(source.files, index)
    found = _rows(source, index)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = places.private(out / target.name, str(os.getpid()))  # what a kill leaves there is removed
    editor = _Editor(source, found, aligner, file)
    key = source.config.text_key or source.files.text_key
    edits = Edits(editor.bounds, editor.edit, key, source.config.cut_key, source.config.again)
    rewriting.rewrite(file, temporary, edits)
    publish(temporary, target)
    _check_unchanged(source.files, index)
    numbers = (source.firsts[index + 1] - source.firsts[index], len(editor.bounds), editor.gone)
    return {
        **{name: found[name].astype(dtype) for name, dtype in COLUMNS.items()},
        "xxh3": np.frombuffer(seals.checksum(target).encode(), "u1"),
        **{name: np.array([number], "<u8") for name, number in zip(DOCUMENTS, numbers)},
    }


def _rows(source: _Source, index: int) -> dict[str, np.ndarray]:
    """The cuts of a file's documents, which are some of one or several chunks. The tokens are compared as well."""
    first, last = source.firsts[index : index + 2]
    rows: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
    for row, chunk, low, high, begin in _parts(source.corpus, first, last):
        chunks.check(chunk, int(chunk.offsets[low]), int(chunk.offsets[high]))
        cuts = cuts_file.of_documents(source.cuts[row], low, high)
        places_ = {"in_file": cuts.document + begin - first, "chunk": np.full(len(cuts.document), row)}
        empty = np.zeros(len(cuts.document), np.int64)
        for name, values in {**cuts._asdict(), **places_, "byte_start": empty, "byte_stop": empty}.items():
            rows[name].append(values)
    return {name: np.concatenate([np.zeros(0, np.int64), *parts]) for name, parts in rows.items()}


def _parts(corpus: list[Chunk], first: int, last: int) -> Iterator[tuple[int, Chunk, int, int, int]]:
    """The chunks that hold the documents first .. last - 1 of the corpus: number, chunk, which of its documents these
    are, and the number of its first one in the corpus."""
    begin = 0
    for row, chunk in enumerate(corpus):
        documents = len(chunk.offsets) - 1
        low, high = max(first - begin, 0), min(last - begin, documents)
        if low < high:
            yield row, chunk, low, high, begin
        begin += documents


class _Editor:
    """Cuts the documents of a file, one after another. bounds: document -> its rows; gone: how many went whole."""

    def __init__(self, source: _Source, rows: dict[str, np.ndarray], aligner: Any, file: Path) -> None:
        self._source, self._rows, self._aligner, self._file = source, rows, aligner, file
        documents, first = np.unique(rows["in_file"], return_index=True)
        ends = [*first[1:].tolist(), len(rows["in_file"])]
        self.bounds = {int(one): (low, high) for one, low, high in zip(documents, first.tolist(), ends)}
        self.gone = 0

    def edit(self, number: int, text: str, earlier: Sequence[Sequence[int]]) -> Edited:
        """Cut one document. earlier: the bytes that went of it before."""
        low, high = self.bounds[number]
        data, found = text.encode(), self._bytes(number, text, low, high)
        self._rows["byte_start"][low:high], self._rows["byte_stop"][low:high] = found.T
        separator = self._source.config.separator
        cuts, stays = ranges.recut(earlier, found.tolist(), len(data), len(separator.encode()))
        pieces = [data[start:stop].decode() for start, stop in stays]
        self.gone += not pieces
        return Edited(separator.join(pieces) if pieces else None, cuts)

    def _bytes(self, number: int, text: str, low: int, high: int) -> np.ndarray:
        chunk = self._source.corpus[int(self._rows["chunk"][low])]
        start, stop = chunk.offsets[int(self._rows["document"][low]) :][:2]
        tokens = np.column_stack([self._rows["start"][low:high], self._rows["stop"][low:high]])
        try:
            return self._aligner.byte_ranges(text, chunk.tokens[start:stop], tokens)
        except TesseraError as error:
            raise TesseraError(f"{self._file}: document {number}: {error}; give the tokens of these files") from error


def _check_unchanged(files: Listing, index: int) -> None:
    """A file of the hub cache has the hub's checksum, whenever it was fetched; any other its size and time."""
    from lib.models import hub_blobs

    if not hub_blobs.check_file(files.files[index]):
        listing.check_unchanged(files, index)


def _write(out: Path, source: _Source, names: list[str]) -> None:
    """Write cleaned.h5 block by block, and the sums."""
    sums: Counter[tuple[int, int, str]] = Counter()
    documents: Counter[str] = Counter()
    with hdf5.create(out / places.CLEANED) as file:
        for index, name in enumerate(names):
            block = blocks.read(out / places.BLOCKS, name)
            for column, dtype in COLUMNS.items():
                hdf5.append(file, column, block[column].astype(dtype))
            hdf5.append(file, "file", np.full(len(block["cause"]), index, "<u4"))
            documents.update({column: int(block[column][0]) for column in DOCUMENTS})
            sums.update(_sums(block))
        hdf5.write_texts(file, "files", source.relative)
        _write_summary(file, sums)
        tokens = sum(chunk.n_tokens for chunk in source.corpus)
        gone = sum(count for (_, _, what), count in sums.items() if what == "tokens")
        file.attrs.update(documents, tokens=tokens, gone_tokens=gone)
    print(
        f"{gone} of {tokens} tokens went, from {documents['cut_documents']} of {documents['documents']} documents; "
        f"{documents['gone_documents']} of these went whole"
    )


def _sums(block: dict[str, np.ndarray]) -> Counter[tuple[int, int, str]]:
    """Cuts, tokens and bytes by cause and by the power of ten that their copies reach (0: copies are not known)."""
    reached = np.append(TENS, 0)[np.searchsorted(TENS, block["copies"], "right") - 1]
    size = {"tokens": block["stop"] - block["start"], "bytes": block["byte_stop"] - block["byte_start"]}
    found: Counter[tuple[int, int, str]] = Counter()
    for cause, copies in sorted(set(zip(block["cause"].tolist(), reached.tolist()))):
        here = (block["cause"] == cause) & (reached == copies)
        found[cause, copies, "cuts"] = int(here.sum())
        found.update({(cause, copies, what): int(values[here].sum()) for what, values in size.items()})
    return found


def _write_summary(file: Any, sums: Counter[tuple[int, int, str]]) -> None:
    keys = sorted({(cause, copies) for cause, copies, _ in sums})
    rows = [(*key, *(sums[(*key, what)] for what in SUMMARY[2:])) for key in keys]
    group = file.create_group("summary", track_order=False)
    for column, values in zip(SUMMARY, np.array(rows, "<u8").reshape(-1, len(SUMMARY)).T):
        hdf5.write(group, column, values)
