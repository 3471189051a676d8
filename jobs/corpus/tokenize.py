"""Turn raw text into chunks of token ids.

    python -m jobs tokenize --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs tokenize --config FILE --out DIR     # with two ranks

FILE holds:

    inputs: {corpus: DIR, tokenizer: DIR}   # corpus: a result of the stage corpus, or text files (a file or a folder)
    chunks: 20

Result chunk-NN.h5 (see lib/corpus/chunks.py), with `tokens`, `offsets` and checksums. Documents keep their order and
number, including empty ones. Nothing is put between them, and the spelling of a special token in the text is plain
text. Each input file is a block, or a piece of a large one, or some small ones together, so a stopped run continues
with the missing ones. JSON lines and Parquet are cut, at borders of documents or row groups; compressed files and .txt
are not. The attributes `engine` and `fallback_files` (or pieces) say how the ids were made; where bad documents are
skipped, `bad_documents` says how many of the chunk were, `bad_documents_by_reason` why, and `bad_documents_first`
(JSON) which were the first.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.base import blocks, hdf5, mpi, places
from lib.base.config import added, at_least, execution
from lib.corpus import chunks
from lib.corpus.chunk_writer import assemble
from lib.costs.facts import Facts, Given
from lib.texts import bad_documents, listing, partition, text_files
from lib.texts.listing import Listing
from lib.texts.partition import Piece

if TYPE_CHECKING:
    from lib.tokens.encoders import Encoder
    from lib.tokens.pieces import Encoded

VERSION = 1
INPUTS = ("corpus", "tokenizer")
SLUG = ("chunks",)
MPI = True
GROUPED = 1 << 22  # bytes of small files in one block
BAD = "bad_documents"  # in a block: what Skipped.dumped gives


@dataclass(frozen=True)
class Config:
    """Into how many chunks, and which of them.

    chunks: how many chunks to make, which hold the input files in their order: whole ones, as even in bytes as they
        allow, or if there are fewer files than chunks, pieces of them
    chunk: make only this one of the chunks, counted from 0; null makes all
    text_key: the field that holds the text; null takes the one that the corpus was listed with
    on_bad_document: what to do about a document that is null, no string, no JSON, not UTF-8 or too long: `fail`, or
        `skip`, which counts it and takes it as empty
    max_bad_documents: how many documents of a chunk may be skipped, a count or a share below 1; more are an error
    batch_characters: characters of text that are encoded at once
    """

    chunks: int = 1
    chunk: int | None = None
    text_key: str | None = None
    on_bad_document: Literal["fail", "skip"] = added("fail")
    max_bad_documents: int | float = execution(100)
    batch_characters: int = execution(1 << 20)

    def __post_init__(self) -> None:
        """Raise ValueError for a chunk that does not exist, and for empty batches."""
        at_least(1, chunks=self.chunks, batch_characters=self.batch_characters)
        bad_documents.check_bound(self.max_bad_documents)
        if self.chunk is not None and not 0 <= self.chunk < self.chunks:
            raise ValueError(f"chunk is {self.chunk}; it must be 0 to {self.chunks - 1}")


def check(config: Config, given: Given) -> None:
    """Raise ValueError for more chunks than the files can be cut into."""
    parts = given["corpus"].known("parts")
    if config.chunks > parts:
        raise ValueError(
            f"chunks is {config.chunks}, but the files of the corpus are too few: {partition.enough(parts)}"
        )


def facts(config: Config, given: Given) -> Facts:
    """How much text the chunks hold: a part of the corpus, if it is one of them."""
    whole = given["corpus"].known("text_bytes")
    size = whole if config.chunk is None else whole / config.chunks
    return Facts(text_bytes=size, token_bytes=given["corpus"].token_bytes)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Encode the files that are missing, then put each chunk together."""
    from lib.models import loading
    from lib.tokens.encoders import Encoder

    comm = mpi.world()
    files = comm.bcast(listing.open_input(inputs["corpus"]) if comm.rank == 0 else None)
    encoder = Encoder(loading.load_tokenizer(inputs["tokenizer"]))
    if comm.rank == 0:
        reason = f" ({encoder.reason})" if encoder.reason else ""
        print(f"tokenize: {encoder.engine}{reason}", flush=True)
    make_chunks(config, files, encoder, out, comm)


def make_chunks(config: Config, files: Listing, encoder: "Encoder", out: Path, comm: Any) -> None:
    """The chunks of listed files, with a tokenizer that is loaded already."""
    parts = partition.pieces(files.sizes, files.can_be_cut, config.chunks)
    made = range(config.chunks) if config.chunk is None else (config.chunk,)
    named = {chunk: _blocks(files, parts[chunk]) for chunk in made}
    _encode_blocks(
        config, files, {name: some for own in named.values() for name, some in own.items()}, encoder, out, comm
    )
    original = encoder.original
    attributes = {"vocab_size": original.vocab_size, "tokenizer": original.name, "engine": encoder.engine}
    for chunk in made:
        block_files = [blocks.file(out / places.BLOCKS, name) for name in named[chunk]]
        skipped = comm.bcast(_skipped(config, block_files, chunk) if comm.rank == 0 else None)
        dtype = chunks.token_dtype(original.vocab_size)
        assemble(out / places.chunk(chunk), block_files, dtype, {**attributes, **skipped}, comm)


def _skipped(config: Config, block_files: list[Path], chunk: int) -> dict[str, Any]:
    """The attributes of a chunk that say what its blocks skipped. Raises TesseraError for more than may be."""
    total = bad_documents.skipping(config.on_bad_document, config.max_bad_documents)
    if total is None:
        return {}
    for file in block_files:
        total.add(bad_documents.loaded(total.most, hdf5.read(file, BAD).tobytes()))
    total.check()
    print(f"chunk {chunk}: {total.said()}", flush=True)
    return total.attributes()


def _blocks(files: Listing, some: list[Piece]) -> dict[str, list[Piece]]:
    """Name -> the pieces of each block. Small files share one: a hundred thousand of them would take hours to store."""
    together = partition.together(some, min(GROUPED, sum(files.sizes) // partition.PIECES))
    return {_name(files, pieces): pieces for pieces in together}


def _name(files: Listing, pieces: list[Piece]) -> str:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1 and first.size == files.sizes[first.file]:
        return f"{first.file:08d}"
    return f"{first.file:08d}-{first.start:015d}-{last.file:08d}-{last.stop:015d}"


def _encode_blocks(
    config: Config, files: Listing, named: dict[str, list[Piece]], encoder: "Encoder", out: Path, comm: Any
) -> None:
    def make(name: str) -> None:
        _encode_block(config, files, named[name], encoder, blocks.file(out / places.BLOCKS, name))

    sizes = {name: sum(piece.size for piece in pieces) for name, pieces in named.items()}
    largest_first = dict(sorted(sizes.items(), key=lambda item: -item[1]))  # so that ranks end together
    blocks.make_all(out / places.BLOCKS, largest_first, make, comm, "bytes")


def _encode_block(config: Config, files: Listing, pieces: list[Piece], encoder: "Encoder", block: Path) -> None:
    """Begin again whenever a piece turns out to need the original tokenizer."""
    from lib.tokens.encoders import Disagreement

    by_original = set(pieces) if encoder.fast is None else set()
    while True:
        with contextlib.suppress(Disagreement):
            _write(config, files, pieces, encoder, by_original, block)
            return


def _write(
    config: Config, files: Listing, pieces: list[Piece], encoder: "Encoder", by_original: set[Piece], block: Path
) -> None:
    """A block: datasets `tokens`, `lengths` (of documents), `original` (how many pieces the tokenizer itself encoded),
    BAD. A piece that the faster encoder gets wrong is added to `by_original`, and raises Disagreement."""
    dtype = chunks.token_dtype(encoder.original.vocab_size)
    skipped = bad_documents.skipping(config.on_bad_document, config.max_bad_documents)
    with blocks.create(block) as file:
        hdf5.write(file, "original", np.array([len(by_original)], "<u4"))
        _append(file, np.zeros(0, dtype), np.zeros(0))  # a file without documents has empty datasets
        found = (_encoded(config, files, piece, encoder, by_original, skipped) for piece in pieces)
        for ids, lengths in _gathered(chain.from_iterable(found), config.batch_characters):
            _append(file, ids.astype(dtype), lengths)
        if skipped is not None:
            hdf5.write(file, BAD, np.frombuffer(skipped.dumped(), "u1"))


def _encoded(
    config: Config, files: Listing, piece: Piece, encoder: "Encoder", by_original: set[Piece], skipped: Any
) -> "Iterator[Encoded]":
    """The ids of a piece, some documents at a time. Raises TesseraError if its file is not what was listed."""
    from lib.tokens import encoders

    path, whole = files.files[piece.file], piece.size == files.sizes[piece.file]
    _check_unchanged(files, piece.file)
    key = config.text_key or files.text_key
    texts = text_files.documents(path, key, skipped, None if whole else (piece.start, piece.stop))
    try:
        for first, batch in encoders.batches(texts, config.batch_characters):
            yield encoder.original.encode(batch) if piece in by_original else encoder.compared(batch, first)
    except encoders.Disagreement as difference:
        what = "whole file goes" if whole else f"piece from byte {piece.start} on goes"
        print(f"{path}: {difference}; the {what} through the original tokenizer", flush=True)
        by_original.add(piece)
        raise
    _check_unchanged(files, piece.file)


def _gathered(found: "Iterator[Encoded]", least: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids and lengths joined until they have `least` ids (the last ones may not): each append takes a millisecond."""
    held: list[Encoded] = []
    size = 0
    for one in chain(found, [None]):
        if held and (one is None or size >= least):
            yield np.concatenate([part.ids for part in held]), np.concatenate([part.lengths for part in held])
            held, size = [], 0
        if one is not None:
            held.append(one)
            size += len(one.ids)


def _check_unchanged(files: Listing, index: int) -> None:
    """A file of the hub cache has the hub's checksum, whenever it was fetched; any other its size and time."""
    from lib.models import hub_blobs

    if not hub_blobs.check_file(files.files[index]):
        listing.check_unchanged(files, index)


def _append(file: Any, ids: np.ndarray, lengths: np.ndarray) -> None:
    hdf5.append(file, "tokens", ids)
    hdf5.append(file, "lengths", lengths.astype("<u8"))
