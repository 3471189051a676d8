"""Turn raw text into chunks of token ids.

    python -m jobs tokenize --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs tokenize --config FILE --out DIR     # with two ranks

FILE holds:

    inputs: {corpus: DIR, tokenizer: DIR}   # corpus: a result of the stage corpus, or text files (a file or a folder)
    chunks: 20

Result chunk-NN.h5 (see lib/corpus/chunks.py), with `tokens`, `offsets` and checksums. Documents keep their order and
number, including empty ones. Nothing is put between them, and the spelling of a special token in the text is plain
text. Each input file is a block, so a stopped run continues with the missing files. The attributes `engine` and
`fallback_files` say how the ids were made; where bad documents are skipped, `bad_documents` says how many of the chunk
were, `bad_documents_by_reason` why, and `bad_documents_first` (JSON) which were the first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.base import blocks, hdf5, mpi, places
from lib.base.config import added, at_least, execution
from lib.base.errors import counted
from lib.corpus import chunks
from lib.corpus.chunk_writer import assemble
from lib.costs.facts import Given
from lib.texts import bad_documents, listing, partition, text_files
from lib.texts.listing import Listing

if TYPE_CHECKING:
    from lib.tokens.encoders import Encoder

VERSION = 1
INPUTS = ("corpus", "tokenizer")
SLUG = ("chunks",)
MPI = True
BAD = "bad_documents"  # in a block: what Skipped.dumped gives


@dataclass(frozen=True)
class Config:
    """Into how many chunks, and which of them.

    chunks: how many chunks to make: each holds whole input files in their order, as even in bytes as the files allow
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
    """Raise ValueError for more chunks than files."""
    files = given["corpus"].known("files")
    if config.chunks > files:
        raise ValueError(
            f"chunks is {config.chunks}; the corpus has {counted(files, 'file')}, and a chunk holds whole files"
        )


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
    parts = partition.split(files.sizes, config.chunks)
    made = range(config.chunks) if config.chunk is None else (config.chunk,)
    _encode_files(config, files, [index for chunk in made for index in parts[chunk]], encoder, out, comm)
    original = encoder.original
    attributes = {"vocab_size": original.vocab_size, "tokenizer": original.name, "engine": encoder.engine}
    for chunk in made:
        block_files = [blocks.file(out / places.BLOCKS, _block(index)) for index in parts[chunk]]
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


def _block(index: int) -> str:
    return f"{index:08d}"


def _encode_files(config: Config, files: Listing, chosen: list[int], encoder: "Encoder", out: Path, comm: Any) -> None:
    def make(name: str) -> None:
        _encode_file(config, files, int(name), encoder, blocks.file(out / places.BLOCKS, name))

    largest_first = sorted(chosen, key=lambda index: -files.sizes[index])  # so that ranks end together
    sizes = {_block(index): files.sizes[index] for index in largest_first}
    blocks.make_all(out / places.BLOCKS, sizes, make, comm, "bytes")


def _encode_file(config: Config, files: Listing, index: int, encoder: "Encoder", block: Path) -> None:
    from lib.tokens.encoders import Disagreement

    try:
        _write(config, files, index, encoder, encoder.fast is None, block)
    except Disagreement as difference:
        print(f"{files.files[index]}: {difference}; the whole file goes through the original tokenizer", flush=True)
        _write(config, files, index, encoder, True, block)


def _write(config: Config, files: Listing, index: int, encoder: "Encoder", original: bool, block: Path) -> None:
    """One file's block: datasets `tokens`, `lengths` (of documents), `original` (1: by the tokenizer itself), BAD."""
    from lib.tokens import encoders

    dtype = chunks.token_dtype(encoder.original.vocab_size)
    _check_unchanged(files, index)
    skipped = bad_documents.skipping(config.on_bad_document, config.max_bad_documents)
    texts = text_files.documents(files.files[index], config.text_key or files.text_key, skipped)
    with blocks.create(block) as file:
        hdf5.write(file, "original", np.array([original], "u1"))
        _append(file, np.zeros(0, dtype), np.zeros(0))  # a file without documents has empty datasets
        for first, batch in encoders.batches(texts, config.batch_characters):
            found = encoder.original.encode(batch) if original else encoder.compared(batch, first)
            _append(file, found.ids.astype(dtype), found.lengths)
        if skipped is not None:
            hdf5.write(file, BAD, np.frombuffer(skipped.dumped(), "u1"))
        _check_unchanged(files, index)


def _check_unchanged(files: Listing, index: int) -> None:
    """A file of the hub cache has the hub's checksum, whenever it was fetched; any other its size and time."""
    from lib.models import hub_blobs

    if not hub_blobs.check_file(files.files[index]):
        listing.check_unchanged(files, index)


def _append(file: Any, ids: np.ndarray, lengths: np.ndarray) -> None:
    hdf5.append(file, "tokens", ids)
    hdf5.append(file, "lengths", lengths.astype("<u8"))
