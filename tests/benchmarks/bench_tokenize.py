"""From jsonl.zst on disk to a chunk on disk: the stage against `tokenizers`' own encode_batch, on one core.

python -m tests.benchmarks.bench_tokenize

GPT-2's BPE, source and docstrings of installed packages. Both sides read with the stage's reader and write what the
stage writes; what differs is the way to the ids. CPU seconds of the process, writes and checksums included; loading
the tokenizer (and making the tables of the fast way, once a process) stands beside. Exits when the ids differ.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jobs.corpus import tokenize
from jobs.models import gpt2_tokenizer
from jobs.texts import package_text
from lib.base import hdf5, mpi, places
from lib.corpus import chunks
from lib.models import loading as models_loading
from lib.texts import listing, text_files
from lib.tokens import encoders, fast_bpe

END_OF_TEXT = "<|endoftext|>"
PACKAGES = ("networkx", "numpy", "pandas", "scikit-learn")
FILES, PEER_FILES = 16, 4  # the slower side encodes the first quarter


class EncodeBatch:
    """What stands for an Encoder: the library's own batches."""

    engine, fast = "rival", True

    def __init__(self, original: encoders.Original) -> None:
        """Use the tokenizer of `original`."""
        self.original, self.backend = original, original.backend

    def compared(self, texts: list[str], first: int) -> encoders.Encoded:
        """The ids of texts by encode_batch."""
        rows = [found.ids for found in self.backend.encode_batch(texts, add_special_tokens=False)]
        lengths = np.array([len(row) for row in rows], np.int64)
        return encoders.Encoded(np.concatenate([np.array(row, np.uint32) for row in rows]), lengths)


class EncodeBatchFast(EncodeBatch):
    """The library's batches without offsets, which the stage itself falls back to."""

    def compared(self, texts: list[str], first: int) -> encoders.Encoded:
        """The ids of texts by encode_batch_fast."""
        return self.original.encode(texts)


class TiktokenAlone(EncodeBatch):
    """tiktoken with its own regular expression: what the scanner of pieces is measured by."""

    def __init__(self, original: encoders.Original) -> None:
        """Make tiktoken's encoding from the vocabulary of `original`."""
        import tiktoken

        super().__init__(original)
        byte_of = fast_bpe.byte_characters()
        vocabulary = {token: index for token, index in original.tokenizer.get_vocab().items() if token != END_OF_TEXT}
        ranks = {bytes(byte_of[character] for character in token): index for token, index in vocabulary.items()}
        self.encoding = tiktoken.Encoding("gpt2", pat_str=fast_bpe.GPT2, mergeable_ranks=ranks, special_tokens={})

    def compared(self, texts: list[str], first: int) -> encoders.Encoded:
        """The ids of texts by encode_ordinary."""
        rows = [self.encoding.encode_ordinary(text) for text in texts]
        lengths = np.array([len(row) for row in rows], np.int64)
        return encoders.Encoded(np.concatenate([np.array(row, np.uint32) for row in rows]), lengths)


def main() -> None:
    """Print one row a way, with the ratio to encode_batch."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="tessera-bench-") as folder:
        _compare(Path(folder))


def _compare(root: Path) -> None:
    _make(package_text, package_text.Config(PACKAGES, n_files=FILES), root / "text")
    _make(gpt2_tokenizer, gpt2_tokenizer.Config(), root / "tokenizer")
    encoder, loading = _timed(lambda: encoders.Encoder(models_loading.load_tokenizer(root / "tokenizer")))
    rivals: dict[str, tuple[Any, int]] = {
        "this stage": (encoder, FILES),
        "tiktoken alone": (TiktokenAlone(encoder.original), PEER_FILES),
        "tokenizers' encode_batch_fast": (EncodeBatchFast(encoder.original), PEER_FILES),
        "tokenizers' encode_batch": (EncodeBatch(encoder.original), PEER_FILES),
    }
    _tokenize(root, encoder, 1)  # numba's code is loaded once a process
    rows = {name: _tokenize(root, *rival) for name, rival in rivals.items()}
    _check_equal(root)
    _print(rows, loading)


def _tokenize(root: Path, encoder: Any, count: int) -> tuple[float, float, float]:
    """MB, tokens and CPU seconds of the first `count` files as one chunk."""
    everything = listing.list_files(root / "text")
    files = listing.Listing(everything.files[:count], everything.sizes[:count], everything.mtimes[:count])
    out = root / f"{type(encoder).__name__}-{count}"
    (out / places.BLOCKS).mkdir(parents=True)
    _, seconds = _timed(lambda: tokenize.make_chunks(tokenize.Config(), files, encoder, out, mpi.world()))
    size = sum(len(text.encode()) for file in files.files for text in text_files.documents(file))
    return size / 1e6, len(hdf5.read(out / places.chunk(0), "tokens")), seconds


def _check_equal(root: Path) -> None:
    ours = chunks.open_chunk(root / f"Encoder-{FILES}" / places.chunk(0))
    for other in (EncodeBatch, EncodeBatchFast, TiktokenAlone):
        theirs = chunks.open_chunk(root / f"{other.__name__}-{PEER_FILES}" / places.chunk(0))
        if not np.array_equal(ours.tokens[: theirs.n_tokens], theirs.tokens):
            raise SystemExit(f"the ids of {other.__name__} differ from the stage's")


def _print(rows: dict[str, tuple[float, float, float]], loading: float) -> None:
    size, tokens, seconds = list(rows.values())[-1]
    slowest = size / seconds
    table = Table("jsonl.zst to chunk, GPT-2's BPE, one core", "MB/s", "tokens/s", "against encode_batch")
    for name, (size, tokens, seconds) in rows.items():
        table.add_row(name, f"{size / seconds:.2f}", f"{tokens / seconds:,.0f}", f"{size / seconds / slowest:.1f} x")
    Console().print(table)
    print(f" asked: 5 x; loading the tokenizer and its tables, once a process: {loading:.1f} s")


def _make(module: Any, config: Any, out: Path) -> None:
    out.mkdir()
    module.run(config, {}, out)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


if __name__ == "__main__":
    main()
